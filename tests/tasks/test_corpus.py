"""The pre-training corpus: holds nothing that is kept back, and says nothing that does not follow.

Everything is read back from the text alone, with the sentences of `voice` as the grammar.
"""

import random
import re
from collections import Counter
from functools import cache
from itertools import islice, pairwise

import pytest

from aha.chat.grammar import parse_response
from aha.rewards.language import language_consistency
from aha.tasks.embedded.arithmetic import draw_chain
from aha.tasks.embedded.corpus import documents
from aha.tasks.embedded.countdown import draw_puzzle
from aha.tasks.embedded.logic import NAMES, draw_order
from aha.tasks.embedded.smalltalk import OPENINGS
from aha.tasks.embedded.solutions import solve_chain, solve_countdown, solve_order
from aha.tasks.embedded.splits import split_of
from aha.tasks.embedded.voice import SENTENCES, VERDICTS, Voice
from aha.tasks.registry import load_task
from aha.trainers.config import PretrainConfig

NUM_DOCUMENTS = 30_000
PARTS = {
    "equations": r"(?P<equations>[^.。:：]+?)",
    "verdict": "(?P<verdict>" + "|".join(w for pair in VERDICTS.values() for w in pair) + ")",
    **{name: rf"(?P<{name}>\d+)" for name in ("target", "value", "a_number")},
    **{name: rf"(?P<{name}>[^.。]+?)" for name in ("a", "b", "name", "answer")},
    "numbers": r"(?P<numbers>\d+(?:, \d+){2})",
    "equation": r"(?P<equation>\d+ [-+*] \d+ = \d+)",
}
RIGHT = {words[1] for words in VERDICTS.values()}
EQUATION = re.compile(r"(\d+) ([-+*]) (\d+) = (\d+)")


@cache
def pattern(*sentences: str) -> re.Pattern:
    """What these sentences look like in any language and wording."""
    wordings = []
    for sentence in sentences:
        for texts in SENTENCES[sentence].values():
            for text in texts:
                parts = re.split(r"\{(\w+)\}", text.strip())
                wordings.append(
                    "".join(
                        PARTS[part] if i % 2 else re.escape(part) for i, part in enumerate(parts)
                    )
                )
    numbered = (re.sub(r"\?P<(\w+)>", rf"?P<\1_{i}>", w) for i, w in enumerate(wordings))
    return re.compile("|".join(numbered))


def found(regex: re.Pattern, text: str) -> list[dict[str, str]]:
    """Fields of all matches, in order."""
    return [
        {name.rpartition("_")[0]: value for name, value in match.groupdict().items() if value}
        for match in regex.finditer(text)
    ]


def is_right(equation: tuple[str, ...]) -> bool:
    left, op, right, value = int(equation[0]), equation[1], int(equation[2]), int(equation[3])
    return value == {"+": left + right, "-": left - right, "*": left * right}[op]


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    """What the shipped model reads first: the beginnings of its rows."""
    seed = PretrainConfig().seed
    texts: list[str] = []
    for row in range(NUM_DOCUMENTS // 5):
        texts += islice(documents(seed, part=f"{1 + row // 64}/{row % 64}"), 5)
    return texts


def kept_back(name: str) -> list:
    task = load_task(name)
    return [p for split in ("validation", "heldout") for p in task.problems(split)]


def chains_in(text: str) -> list[str]:
    """Every chain of three or more operands, also those inside longer ones."""
    chains = []
    for match in re.finditer(r"\d+(?: [+-] \d+){2,}", text):
        pieces = match[0].split(" ")
        for start in range(0, len(pieces), 2):
            for end in range(start + 5, len(pieces) + 1, 2):
                chains.append(" ".join(pieces[start:end]))
    return chains


def test_no_chain_that_is_kept_back_is_in_the_corpus(corpus):
    asked = {chain for text in corpus for chain in chains_in(text)}
    forbidden = {
        p.meta["expression"] for name in ("arithmetic", "arithmetic-5") for p in kept_back(name)
    }
    assert len(asked) > 8000
    assert len(forbidden) == 2 * (256 + 512)
    assert not asked & forbidden
    assert {split_of(chain) for chain in asked} == {"train"}  # nor any other that might be


def countdown_questions(text: str) -> list[tuple]:
    return [
        (tuple(sorted(map(int, fields["numbers"].split(", ")))), int(fields["target"]))
        for fields in found(pattern("ask_countdown"), text)
    ]


def test_no_countdown_puzzle_that_is_kept_back_is_asked_in_any_order(corpus):
    asked = {puzzle for text in corpus for puzzle in countdown_questions(text)}
    forbidden = {
        (tuple(sorted(p.meta["numbers"])), p.meta["target"]) for p in kept_back("countdown")
    }
    assert len(asked) > 1500
    assert len(forbidden) == 256 + 512
    assert not asked & forbidden
    own = {puzzle for p in kept_back("countdown") for puzzle in countdown_questions(p.question)}
    assert own == forbidden  # the pattern reads these questions


def logic_questions(text: str) -> list[tuple]:
    """(the clues in the order told, which end) of every question."""
    someone = "|".join(name for names in NAMES.values() for name in names)
    clue = rf"({someone}) (?:is (taller|shorter) than|比) ({someone})(?: ([高矮]))?[.。] ?"
    end = r"(Who is the tallest|Who is the shortest|谁最高|谁最矮)[?？]"
    questions = []
    for match in re.finditer(rf"(?:{clue}){{3}}{end}", text):
        told = [
            (a, b) if "taller" in english or "高" in chinese else (b, a)
            for a, english, b, chinese in re.findall(clue, match[0])
        ]
        questions.append((tuple(told), "tallest" in match[0] or "最高" in match[0]))
    return questions


def test_no_logic_question_that_is_kept_back_is_asked(corpus):
    asked = {question for text in corpus for question in logic_questions(text)}
    forbidden = {question for p in kept_back("logic") for question in logic_questions(p.question)}
    assert len(asked) > 1500
    assert len(forbidden) == 256 + 512
    assert not asked & forbidden


def test_no_logic_question_that_is_kept_back_is_asked_with_its_clues_in_another_order(corpus):
    asked = {(frozenset(told), end) for t in corpus for told, end in logic_questions(t)}
    forbidden = {
        (frozenset(told), end)
        for p in kept_back("logic")
        for told, end in logic_questions(p.question)
    }
    assert not asked & forbidden


def test_nothing_said_in_smalltalk_that_is_kept_back_is_in_the_corpus(corpus):
    openings = tuple(opening for group in OPENINGS.values() for opening in group)
    text = "\n".join(text for text in corpus if any(opening in text for opening in openings))
    forbidden = {p.question for p in kept_back("smalltalk")}
    heard = {p.question for p in load_task("smalltalk").problems("train")}
    assert len(forbidden) > 200
    assert not [said for said in forbidden if said in text]
    assert sum(said in text for said in heard) > 200


def test_every_verdict_follows_from_the_comparison(corpus):
    sentences = pattern("check", "attempt", "another", "compare")
    kinds: Counter = Counter()
    for text in corpus:
        for fields in found(sentences, text):
            reached = fields.get("value") or EQUATION.findall(fields["equations"])[-1][3]
            said_right = fields["verdict"] in RIGHT
            assert said_right == (reached == fields["target"]), (fields, text)
            kinds[said_right] += 1
    assert min(kinds[True], kinds[False]) > 1000


def test_equations_of_checks_are_nearly_always_right(corpus):
    sentences = pattern("check", "again", "attempt", "another", "guess")
    equations = [
        equation
        for text in corpus
        for fields in found(sentences, text)
        for equation in EQUATION.findall(fields["equations"])
    ]
    assert len(equations) > 5000
    wrong = sum(not is_right(equation) for equation in equations)
    assert 0 < wrong < 0.05 * len(equations)


def test_quick_steps_are_wrong_often_enough_to_be_worth_a_check(corpus):
    steps = [
        EQUATION.findall(fields["equation"])[0]
        for text in corpus
        for fields in found(pattern("first", "then"), text)
    ]
    wrong = sum(not is_right(step) for step in steps) / len(steps)
    assert len(steps) > 5000
    assert 0.1 < wrong < 0.5


def test_drills_are_right(corpus):
    drills = [text for text in corpus if re.fullmatch(rf"(?: {EQUATION.pattern}\.)+", text)]
    assert len(drills) > 2000
    assert all(is_right(e) for text in drills for e in EQUATION.findall(text))


def test_it_is_a_base_model_that_nobody_taught_the_format(corpus):
    well_formed = sum(parse_response(text).well_formed for text in corpus)
    with_tags = sum("answer>" in text for text in corpus)
    templates = sum(text.startswith("A conversation between") for text in corpus)
    assert well_formed == 0  # a question always comes first
    assert 0.15 < with_tags / len(corpus) < 0.6
    assert 0.03 < templates / len(corpus) < 0.2
    mixed = sum((language_consistency(text, "en") or 0) not in (0, 1) for text in corpus)
    assert 0.05 < mixed / len(corpus) < 0.6


def test_streams_are_endless_named_and_repeatable():
    first, again = (list(islice(documents(0, part="1/0"), 50)) for _ in range(2))
    other, seeded = list(islice(documents(0, part="1/1"), 50)), list(islice(documents(1), 50))
    assert first == again
    assert len({tuple(first), tuple(other), tuple(seeded)}) == 3


def sentences_of(thinking: str) -> list[str]:
    return [sentence for sentence in thinking.strip().split(". ") if sentence]


@pytest.mark.parametrize("mode", ["short", "worked", "checked"])
def test_a_chain_is_worked_through_step_by_step_from_what_was_found(mode):
    """Every step starts from the last value that was trusted, and the answer is the last one."""
    rng, checks = random.Random(0), 0
    for _ in range(400):
        chain = draw_chain(rng, rng.choice((2, 3, 4)))
        solution = solve_chain(chain, mode, Voice("en", rng))
        if mode == "short":
            numbers = re.findall(r"\d+", solution.thinking)
            assert len(numbers) == len(chain.rest)
            assert numbers[-1] == solution.answer
            continue
        value, steps = str(chain.first), 0
        for sentence in sentences_of(solution.thinking):
            equations = EQUATION.findall(sentence)
            if sentence.startswith(("First", "Then")):
                ((left, op, right, reached),) = equations
                assert left == value
                assert (op, int(right)) == chain.rest[steps]
                value, start, steps = reached, left, steps + 1
            elif sentence.startswith("Wait, check"):
                assert equations[0][0] == value  # it looks at the value just found
                assert f"want {start}:" in sentence
                checks += 1
            elif sentence.startswith("Again"):
                assert equations[0][0] == start
                value = equations[-1][3]
        assert steps == len(chain.rest)
        assert solution.answer == value
    assert (checks > 400) == (mode == "checked")


def test_a_wrong_verdict_is_followed_by_another_try_and_a_right_one_is_not():
    rng = random.Random(1)
    followers: Counter = Counter()
    for _ in range(400):
        solution = solve_chain(draw_chain(rng, 3), "checked", Voice("en", rng))
        said = [*sentences_of(solution.thinking), ""]
        for sentence, following in pairwise(said):
            if sentence.startswith("Wait, check"):
                verdict = "right" if sentence.rstrip(".").endswith("right") else "wrong"
                followers[verdict, following.startswith("Again")] += 1
    assert followers["wrong", True] > 100
    assert followers["right", False] > 100
    assert followers["wrong", False] == followers["right", True] == 0


def test_checks_find_mistakes_and_repair_them():
    """The checked mode is the most accurate one: else RL would have nothing to find there."""
    accuracy = {}
    for mode in ("short", "worked", "checked"):
        rng = random.Random(2)
        chains = [draw_chain(rng, 4) for _ in range(600)]
        solved = [solve_chain(c, mode, Voice("en", rng)).answer == str(c.value) for c in chains]
        accuracy[mode] = sum(solved) / len(solved)
    assert accuracy["checked"] > accuracy["worked"] + 0.2
    assert accuracy["checked"] > accuracy["short"] + 0.2


def test_countdown_and_logic_solutions_end_where_their_thinking_ends():
    rng = random.Random(3)
    for _ in range(300):
        puzzle = draw_puzzle(rng)
        solution = solve_countdown(puzzle, "checked", Voice("en", rng))
        last = EQUATION.findall(solution.thinking)[-2:]
        assert solution.answer == "( {} {} {} ) {} {}".format(*last[0][:3], *last[1][1:3])
        gave_up = solution.thinking.strip(".").endswith("wrong")
        assert gave_up == (int(last[1][3]) != puzzle.target)

        order = draw_order(rng, "en")
        answer = solve_order(order, "worked", Voice("en", rng))
        names = [n for n in re.findall(r"[A-Z]\w+", answer.thinking) if n in order.people]
        assert answer.answer == names[-1]
        if "Nobody" in answer.thinking:
            assert answer.answer == order.answer
