"""Votes and best-of-N: exact expectations over the subsets of a pool."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aha.evals.metrics import cons_at_k, pass_at_k
from aha.evals.scaling import votes
from aha.evals.scaling.sampler import Mark
from aha.evals.scaling.votes import best_of_k, vote_share
from tests.evals.scaling.worlds import chunk_of, sampler

ANSWERS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=7)


def equal(left, right):
    return left == right


@given(ANSWERS, st.data())
def test_a_vote_on_one_right_answer_is_cons_at_k(answers, data):
    k = data.draw(st.integers(1, len(answers)))
    marks = [Mark(answer == "a", answer) for answer in answers]
    assert vote_share(marks, equal, k) == pytest.approx(cons_at_k(answers, gold="a", k=k))


@given(ANSWERS, st.data())
def test_a_vote_equals_the_mean_over_all_subsets(answers, data):
    """Two of the answers are right, as several expressions solve a puzzle; they do not add up."""
    k = data.draw(st.integers(1, len(answers)))
    expected = []
    for subset in combinations(answers, k):
        given = [answer for answer in subset if answer is not None]
        most = max((given.count(answer) for answer in given), default=0)
        first = [answer for answer in sorted(set(given)) if given.count(answer) == most]
        expected.append(sum(answer in "ab" for answer in first) / len(first) if first else 0.0)
    marks = [Mark(answer in ("a", "b"), answer) for answer in answers]
    assert vote_share(marks, equal, k) == pytest.approx(sum(expected) / len(expected))


def test_answers_of_one_class_vote_together():
    marks = [Mark(True, "0.5"), Mark(True, ".5"), Mark(False, "2")]
    assert vote_share(marks, equal, 3) == pytest.approx(2 / 3)
    assert vote_share(marks, lambda a, b: float(a) == float(b), 3) == 1.0


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0]), st.booleans()), min_size=1, max_size=7),
       st.data())  # fmt: skip
def test_the_best_of_k_equals_the_mean_over_all_subsets(pairs, data):
    k = data.draw(st.integers(1, len(pairs)))
    expected = []
    for subset in combinations(pairs, k):
        best = max(score for score, _ in subset)
        tied = [right for score, right in subset if score == best]
        expected.append(sum(tied) / len(tied))
    scores, correct = zip(*pairs, strict=True)
    assert best_of_k(scores, correct, k) == pytest.approx(sum(expected) / len(expected))


def test_the_best_of_one_and_of_all():
    assert best_of_k([3.0, 1.0, 2.0], [True, False, False], 1) == pytest.approx(1 / 3)
    assert best_of_k([3.0, 1.0, 2.0], [True, False, False], 3) == 1.0
    with pytest.raises(ValueError, match="k is 4"):
        best_of_k([1.0], [True], 4)


def test_votes_of_a_pool_cost_k_responses(tmp_path):
    world = sampler(tmp_path, pool=8)
    chunk = chunk_of(world)
    pool, marks = world.pool(chunk), world.pool_marks(chunk)
    for k in (1, 4, 8):
        voted = votes.majority(world, chunk, k)
        ceiling = votes.oracle(world, chunk, k)
        for one, top, drafts, graded in zip(voted, ceiling, pool, marks, strict=True):
            mean = sum(len(draft.ids) for draft in drafts) / 8
            assert one.tokens == top.tokens == pytest.approx(k * mean)
            assert top.score == pass_at_k(8, sum(mark.correct for mark in graded), k)
            assert one.score <= top.score + 1e-12


def test_a_reward_model_is_asked_for_each_response(tmp_path):
    def longest(pairs):
        return [float(len(text)) for _, text in pairs]

    world = sampler(tmp_path, reward=longest)
    chunk = chunk_of(world)
    best = votes.best_by(votes.by_reward)(world, chunk, 6)
    for one, question, drafts in zip(best, chunk, world.pool(chunk), strict=True):
        lengths = [len(world.text(draft)) for draft in drafts]
        tied = [d for d, n in zip(drafts, lengths, strict=True) if n == max(lengths)]
        marks = world.marks([(question, draft) for draft in tied])
        assert one.score == pytest.approx(sum(mark.correct for mark in marks) / len(tied))
