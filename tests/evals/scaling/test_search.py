"""Beam search and tree search: by hand where that is possible, else against plain sampling."""

import math

import pytest

from aha.evals.scaling import scorers
from aha.evals.scaling.beam import search
from aha.evals.scaling.mcts import answer_of, grow
from aha.evals.scaling.sampler import Draft
from aha.evals.scaling.scorers import Votes, by_consensus, by_logprob, by_nothing, sigmoid
from aha.evals.scaling.tree import Node, add_children, select
from tests.evals.scaling.worlds import chunk_of, sampler


def leaf(*ids):
    return Draft(ids=ids)


def test_a_beam_of_one_without_a_scorer_is_plain_sampling(tmp_path):
    world = sampler(tmp_path)
    chunk = chunk_of(world, 8)
    beams = search(world, chunk, 1, by_nothing, "none")
    pool = world.pool(chunk)
    assert [one.kept[0].ids for one in beams] == [drafts[0].ids for drafts in pool]
    assert [one.tokens for one in beams] == [len(drafts[0].ids) for drafts in pool]
    assert sum(7 in drafts[0].ids[:-1] for drafts in pool) >= 2  # some have several steps


def test_a_beam_keeps_the_likeliest(tmp_path):
    world = sampler(tmp_path, branch=3, step_tokens=4)
    chunk = chunk_of(world, 8)
    beams = search(world, chunk, 6, by_logprob, "logprob")
    for one in beams:
        assert 1 <= len(one.kept) <= 2
        values = [draft.mean_logprob for draft in one.kept]
        assert values == sorted(values, reverse=True)
        assert len({draft.ids for draft in one.kept}) == len(one.kept)
        assert all(d.ended or len(d.ids) == 40 for d in one.kept)
        assert one.tokens >= sum(len(draft.ids) for draft in one.kept[:1])
    likely = [one.kept[0].mean_logprob for one in beams]
    plain = [drafts[0].mean_logprob for drafts in world.pool(chunk)]
    assert sum(likely) > sum(plain)


def test_a_first_step_keeps_the_best_of_all_candidates(tmp_path):
    world = sampler(tmp_path, branch=4, step_tokens=1, max_new_tokens=1)
    chunk = chunk_of(world, 8)
    beams = search(world, chunk, 4, by_logprob, "logprob")
    drawn = world.extend([(q, Draft()) for q in chunk], stream=0, branches=[0] * 8, num=4)
    for one, group in zip(beams, drawn, strict=True):
        assert one.kept[0].logprob == max(draft.logprob for draft in group)
        assert one.tokens == 4


def test_consensus_of_ended_responses_is_their_share_of_the_votes(tmp_path):
    world = sampler(tmp_path)
    question = chunk_of(world, 1)[0]
    encode = world.prompter.tokenizer.encode
    drafts = [
        Draft(ids=(*encode(f"x </think><answer> {letter} </answer>"), 0), ended=True)
        for letter in "aab"
    ]
    votes = [Votes(str.__eq__)] * 3
    valued = by_consensus(world, [(question, draft) for draft in drafts], votes, "test")
    assert [one.value for one in valued] == [1.0, 1.0, 0.0]
    assert [one.tokens for one in valued] == [0, 0, 0]
    assert votes[0].counts == [2.0, 1.0]


def test_rollouts_are_paid_for(tmp_path):
    world = sampler(tmp_path, rollouts=3)
    chunk = chunk_of(world, 2)
    start = Draft(ids=tuple(world.prompter.tokenizer.encode("a b")))
    valued = by_consensus(
        world, [(q, start) for q in chunk], [Votes(str.__eq__) for _ in chunk], "test"
    )
    assert all(3 <= one.tokens <= 3 * 38 for one in valued)
    assert all(one.value in (0.0, 1 / 3, 2 / 3, 1.0) for one in valued)


def test_votes_count_classes():
    votes = Votes(lambda a, b: float(a) == float(b))
    kinds = [votes.add(answer, weight) for answer, weight in
             (("1", 1.0), ("2", 0.5), ("1.0", 1.0), (None, 9.0), ("2", 1.0))]  # fmt: skip
    assert kinds == [0, 1, 0, None, 1]
    assert votes.counts == [2.0, 1.5]
    assert votes.leading == 0 and votes.share(1) == pytest.approx(1.5 / 3.5)
    assert votes.share(None) == 0.0 and Votes(str.__eq__).leading is None


def test_visits_and_values_go_up_to_the_root():
    root = Node(Draft())
    add_children(root, [leaf(1), leaf(2), leaf(1)])
    assert [child.draft.ids for child in root.children] == [(1,), (2,)]
    first, second = root.children
    first.backup(1.0)
    second.backup(0.25)
    add_children(first, [leaf(1, 5)])
    first.children[0].backup(0.5)
    assert [(node.visits, node.total) for node in (root, first, second)] == [
        (3, 1.75),
        (2, 1.5),
        (1, 0.25),
    ]
    assert first.mean == 0.75 and first.children[0].path() == [first.children[0], first, root]


def test_selection_by_hand():
    root = Node(Draft())
    add_children(root, [leaf(1), leaf(2), leaf(3)])
    first, second, third = root.children
    first.backup(1.0)
    second.backup(0.5)
    assert select(root, 1.0) is third  # never visited
    third.backup(0.0)
    assert first.bound(1.0) == pytest.approx(1.0 + math.sqrt(math.log(3)))
    assert select(root, 1.0) is first
    for _ in range(5):
        first.backup(1.0)
    # 1 + sqrt(ln 8 / 6) = 1.589 against 0.5 + sqrt(ln 8) = 1.942
    assert select(root, 1.0) is second
    assert select(root, 0.0) is first


@pytest.mark.parametrize("scorer", [by_consensus, by_logprob])
def test_every_simulation_is_a_visit_of_the_root(tmp_path, scorer):
    world = sampler(tmp_path)
    chunk = chunk_of(world, 4)
    trees = grow(world, chunk, 6, scorer, "test")
    for tree in trees:
        assert tree.root.visits == 6 == sum(child.visits for child in tree.root.children)
        assert 0.0 <= tree.root.mean <= 1.0
        assert tree.tokens >= 6
    assert any(child.children for tree in trees for child in tree.root.children)


def test_a_tree_that_grows_on_is_the_tree_that_grew_at_once(tmp_path):
    once, twice = sampler(tmp_path / "a"), sampler(tmp_path / "b")
    at_once = grow(once, chunk_of(once), 5, by_logprob, "test")
    grow(twice, chunk_of(twice), 2, by_logprob, "test")
    in_turn = grow(twice, chunk_of(twice), 5, by_logprob, "test")
    assert [tree.tokens for tree in at_once] == [tree.tokens for tree in in_turn]
    assert [tree.root.total for tree in at_once] == [tree.root.total for tree in in_turn]
    assert [answer_of(tree) for tree in at_once] == [answer_of(tree) for tree in in_turn]
    smaller = grow(twice, chunk_of(twice), 2, by_logprob, "test")  # begins anew
    assert [tree.root.visits for tree in smaller] == [2] * 4


def test_sigmoid_does_not_overflow():
    assert sigmoid(0.0) == 0.5 and sigmoid(-1e6) == 0.0 and sigmoid(1e6) == 1.0
    assert sigmoid(2.0) + sigmoid(-2.0) == pytest.approx(1.0)


def test_batches_change_nothing(tmp_path):
    """A problem alone, or among others: the same search."""
    world = sampler(tmp_path)
    chunk = chunk_of(world, 4)
    together = search(world, chunk, 4, scorers.by_consensus, "consensus")
    alone = search(world, chunk[2:3], 4, scorers.by_consensus, "consensus")
    assert [draft.ids for draft in alone[0].kept] == [draft.ids for draft in together[2].kept]
    assert alone[0].tokens == together[2].tokens
