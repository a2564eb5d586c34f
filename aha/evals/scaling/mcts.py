"""Monte-Carlo tree search over reasoning steps, as DeepSeek-R1 tried it (arXiv 2501.12948, 4.2).

A simulation walks down by UCT, gives a leaf that has been visited its continuations by one step,
and rolls the response out to its end. The value of an end is what the scorer says of the whole
response: under `consensus` the share of the problem's ends so far that gave its answer. The answer
is the one whose ends have the greatest sum of values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aha.evals.scaling.sampler import Chunk, Draft, Outcome, Question, Sampler, stream_of
from aha.evals.scaling.scorers import Scorer, Votes, by_consensus
from aha.evals.scaling.tree import Node, add_children, select


@dataclass(slots=True)
class Tree:
    """The search of one problem."""

    question: Question
    ends: Votes
    """How often each answer came out."""
    values: Votes
    """The same, weighted by the values of the ends."""
    root: Node = field(default_factory=lambda: Node(Draft()))
    best: dict[int, tuple[float, Draft]] = field(default_factory=dict)
    """The end of the greatest value for each answer."""
    tokens: int = 0


def mcts_by(scorer: Scorer, name: str) -> Callable[[Sampler, Chunk, int], list[Outcome]]:
    """Tree search under a scorer; the number is that of simulations."""

    def mcts(sampler: Sampler, chunk: Chunk, simulations: int) -> list[Outcome]:
        trees = grow(sampler, chunk, simulations, scorer, name)
        final = [(tree.question, answer_of(tree)) for tree in trees]
        return [
            Outcome(tree.tokens, float(mark.correct), sampler.text(draft))
            for tree, (_, draft), mark in zip(trees, final, sampler.marks(final), strict=True)
        ]

    return mcts


def answer_of(tree: Tree) -> Draft:
    """An end with the answer that is worth most; an empty response where no end has an answer."""
    kind = tree.values.leading
    return Draft() if kind is None else tree.best[kind][1]


def grow(sampler: Sampler, chunk: Chunk, simulations: int, scorer: Scorer, name: str) -> list[Tree]:
    """Run so many simulations for every problem of a chunk, side by side.

    The trees of a smaller number grow on: the simulations are the same ones.
    """
    same, key = sampler.same_answer, (name, chunk[0].group)
    trees = sampler.searches.get(key)
    if trees is None or trees[0].root.visits > simulations:
        trees = [Tree(question, Votes(same), Votes(same)) for question in chunk]
        sampler.searches[key] = trees
    for number in range(trees[0].root.visits, simulations):
        leaves = [select(tree.root, sampler.settings.exploration) for tree in trees]
        leaves = _expand(sampler, trees, leaves, f"mcts/{name}/{number}")
        ends = _roll_out(sampler, trees, leaves, f"mcts/{name}/{number}/ends")
        _value(sampler, trees, leaves, ends, scorer)
    return trees


def _expand(
    sampler: Sampler, trees: Sequence[Tree], leaves: Sequence[Node], stream: str
) -> list[Node]:
    """Give leaves that have been visited (and the root) children; the first one is the new leaf."""
    result = list(leaves)
    going = [
        i
        for i, (tree, leaf) in enumerate(zip(trees, leaves, strict=True))
        if (leaf.visits or leaf.parent is None)
        and not leaf.draft.ended
        and sampler.room(tree.question, leaf.draft) > 0
    ]
    groups = sampler.extend(
        [(trees[i].question, leaves[i].draft) for i in going],
        stream=stream_of(stream),
        branches=[0] * len(going),
        num=sampler.settings.branch,
        max_new_tokens=sampler.settings.step_tokens,
        stop=sampler.settings.step_ends,
    )
    for i, drafts in zip(going, groups, strict=True):
        trees[i].tokens += sum(len(draft.ids) - len(leaves[i].draft.ids) for draft in drafts)
        add_children(leaves[i], drafts)
        result[i] = leaves[i].children[0]
    return result


def _roll_out(
    sampler: Sampler, trees: Sequence[Tree], leaves: Sequence[Node], stream: str
) -> list[Draft]:
    """A whole response from each leaf."""
    ends = [leaf.draft for leaf in leaves]
    going = [i for i, draft in enumerate(ends) if not draft.ended]
    groups = sampler.extend(
        [(trees[i].question, ends[i]) for i in going],
        stream=stream_of(stream),
        branches=[0] * len(going),
    )
    for i, (draft,) in zip(going, groups, strict=True):
        trees[i].tokens += len(draft.ids) - len(ends[i].ids)
        ends[i] = draft
    return ends


def _value(
    sampler: Sampler,
    trees: Sequence[Tree],
    leaves: Sequence[Node],
    ends: Sequence[Draft],
    scorer: Scorer,
) -> None:
    """Back the values of the ends up and count their answers."""
    pairs = [(tree.question, end) for tree, end in zip(trees, ends, strict=True)]
    marks = sampler.marks(pairs)
    kinds = [tree.ends.add(mark.answer) for tree, mark in zip(trees, marks, strict=True)]
    if scorer is by_consensus:
        values = [tree.ends.share(kind) for tree, kind in zip(trees, kinds, strict=True)]
    else:
        valued = scorer(sampler, pairs, [tree.ends for tree in trees], "")
        values = [one.value for one in valued]
    for tree, leaf, end, mark, value in zip(trees, leaves, ends, marks, values, strict=True):
        leaf.backup(value)
        kind = tree.values.add(mark.answer, value)
        if kind is not None and value > tree.best.get(kind, (-1.0, end))[0]:
            tree.best[kind] = (value, end)
