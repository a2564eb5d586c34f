"""A judge that is no model: it answers prompts by a function."""

from aha.data.judge import Judge
from aha.engine.replies import Reply


class FakeWriter:
    """Replies `answer(prompt)`; remembers what it was asked."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def sample(self, prompts, params, *, samples=1):
        self.asked += prompts
        return [[Reply(text=self.answer(prompt))] * samples for prompt in prompts]


def judge_that_says(answer):
    """A judge with one answer to everything, or a function of the prompt."""
    say = answer if callable(answer) else lambda prompt: answer
    return Judge(FakeWriter(say))
