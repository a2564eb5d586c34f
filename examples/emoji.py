"""Thinking in emoji: every step of the reasoning carries one, and the answer is still right.

    aha tasks validate examples/emoji.py
    aha run zero --task examples/emoji.py

A task file needs `problems`. `score` says whether a response is right; without it, answers are
compared with the gold ones. A function marked `@aha.reward` is one more part of the reward.
"""

import random
import re

import aha
from aha.chat import parse_response

# Pictures, symbols and flags. Digits, # and * are emoji to Unicode too, but not here.
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\u2b50\u2b55\U0001f1e6-\U0001f1ff]")
STEP_ENDS = re.compile(r"(?<=[.!?])\s+|\n|[\u3002\uff01\uff1f]")


def problems():
    """600 sums like `What is 57 - 28 + 13?`, always the same ones."""
    rng = random.Random("emoji")
    sums = {}
    while len(sums) < 600:
        a, b, c = rng.randint(30, 79), rng.randint(11, 29), rng.randint(11, 20)
        sums[f"What is {a} - {b} + {c}?"] = a - b + c
    return [{"question": question, "answer": answer} for question, answer in sums.items()]


def score(problem, response):
    """Whether the one answer block holds the right number."""
    return parse_response(response).answer == problem.gold


@aha.reward(weight=0.5)
def emoji(problem, response):
    """Share of the steps of the reasoning that carry an emoji; nothing for a wrong answer.

    If wrong answers were paid too, a model would soon learn to paint instead of to think.
    """
    if not score(problem, response):
        return 0.0
    thinking = parse_response(response).think or ""
    steps = [step for step in STEP_ENDS.split(thinking) if step.strip()]
    return sum(bool(EMOJI.search(step)) for step in steps) / len(steps) if steps else 0.0
