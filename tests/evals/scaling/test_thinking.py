"""Budget forcing: the budget holds to the token, forced ends parse, extensions go on."""

from dataclasses import replace

import pytest

from aha.chat.grammar import parse_response
from aha.evals.scaling import thinking
from aha.evals.scaling.thinking import cut_all, extend_all, first_lines, split_thought, thought_of
from tests.evals.scaling.worlds import chunk_of, sampler, tokenizer


class Pieces:
    """A tokenizer whose tokens are the pieces it is given: they may straddle tags."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def decode(self, ids):
        return "".join(self.pieces[i] for i in ids)

    def encode(self, text):
        self.pieces.append(text)
        return [len(self.pieces) - 1]


def test_a_response_is_cut_at_its_tags():
    words = tokenizer()
    ids = words.encode("<think> a b . </think> <answer> c </answer>")
    thought = split_thought(words, ids, opens_think=False)
    assert (*thought.head, *thought.body, *thought.tail) == tuple(ids)
    assert words.decode(thought.body) == "a b ."
    assert words.decode(thought.tail) == "</think> <answer> c </answer>"
    assert thought.tagged


def test_tokens_that_straddle_the_tags_are_cut_by_their_text():
    pieces = Pieces("<thi", "nk> so", " 4.</", "think", ">\n", "4")
    thought = split_thought(pieces, range(6), opens_think=False)
    assert pieces.decode(thought.head) == "<think> so"
    assert pieces.decode(thought.body) == " 4."
    assert pieces.decode(thought.tail) == "</think>\n4"


def test_thinking_that_never_ends_and_responses_without_tags():
    words = tokenizer()
    ids = words.encode("a b c")
    opened = split_thought(words, ids, opens_think=True)
    assert (opened.head, opened.body, opened.tail, opened.tagged) == ((), tuple(ids), (), True)
    assert not split_thought(words, ids, opens_think=False).tagged


@pytest.mark.parametrize("num_tokens", [1, 2, 5, 9])
def test_a_budget_holds_to_the_token(tmp_path, num_tokens):
    world = sampler(tmp_path)
    lines = first_lines(world, chunk_of(world, 8))
    before = [thought_of(world, line) for line in lines]
    after = [thought_of(world, line) for line in cut_all(world, lines, num_tokens)]
    lengths = [len(thought.body) for thought in before]
    assert min(lengths) <= num_tokens < max(lengths)  # both kinds are there
    for old, new in zip(before, after, strict=True):
        closed_in_time = old.tail and len(old.body) <= num_tokens
        assert new.body == (old.body if closed_in_time else old.body[:num_tokens])
        assert new.tail


def test_a_forced_end_parses_and_leaves_the_answer_its_room(tmp_path):
    world = sampler(tmp_path)
    lines = first_lines(world, chunk_of(world, 8))
    closing = world.prompter.tokenizer.encode("</think><answer>")
    forced = [
        (old, new) for old, new in zip(lines, cut_all(world, lines, 3), strict=True) if old != new
    ]
    assert len(forced) > 10
    for _, line in forced:
        thought = thought_of(world, line)
        assert list(thought.tail[:2]) == closing
        assert len(thought.tail) - 2 <= world.settings.answer_tokens
        text = "<think> " + world.text(replace(line.draft, ended=False)) + " </answer>"
        if text.count("<") == 8:  # the answer drew no tag of its own
            assert parse_response(text).think == world.prompter.tokenizer.decode(thought.body)


def test_a_budget_that_nobody_needs_changes_nothing(tmp_path):
    world = sampler(tmp_path)
    lines = [
        line for line in first_lines(world, chunk_of(world, 8)) if thought_of(world, line).tail
    ]
    assert lines and cut_all(world, lines, 1000) == lines


def test_waiting_keeps_the_thought_and_goes_on_behind_the_cue(tmp_path):
    world = sampler(tmp_path)
    lines = first_lines(world, chunk_of(world, 8))
    longer = extend_all(world, lines, 1)
    cue = tuple(world.prompter.tokenizer.encode("Wait,"))
    assert len(cue) == 1
    extended = 0
    for old, new in zip(lines, longer, strict=True):
        before, after = thought_of(world, old), thought_of(world, new)
        if old == new:
            assert not (before.tail or old.draft.ended) or len(before.body) >= 39
            continue
        extended += 1
        kept = len(before.body)
        assert (after.body + after.tail)[: kept + 1] == (*before.body, *cue)
        assert new.spent == old.spent + len(new.draft.ids) - kept
        assert len(new.draft.ids) <= world.params.max_new_tokens
    assert extended >= 5


def test_filling_thinks_just_so_long(tmp_path):
    world = sampler(tmp_path, max_new_tokens=30)
    chunk = chunk_of(world, 4)
    outcomes = thinking.fill(world, chunk, 12)
    for outcome in outcomes:
        body = split_thought(
            world.prompter.tokenizer,
            world.prompter.tokenizer.encode(outcome.text),
            opens_think=True,
        ).body
        assert len(body) == 12


def test_a_cut_thought_begins_as_the_longer_one_does(tmp_path):
    """Budgets share their samples, so that a curve over budgets is a paired comparison."""
    world = sampler(tmp_path)
    lines = first_lines(world, chunk_of(world, 8))
    short = [thought_of(world, line).body for line in cut_all(world, lines, 2)]
    long = [thought_of(world, line).body for line in cut_all(world, lines, 7)]
    assert all(b[: len(a)] == a for a, b in zip(short, long, strict=True))


def test_chinese_questions_wait_in_chinese(tmp_path):
    world = sampler(tmp_path)
    question = chunk_of(world, 1)[0]
    chinese = replace(question, problem=replace(question.problem, language="zh"))
    assert thinking._cue(question, "so.") == " Wait,"
    assert thinking._cue(question, "so.\n") == "Wait,"
    assert thinking._cue(chinese, "so.") == "\u7b49\u7b49\uff0c"
