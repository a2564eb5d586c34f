"""A search tree with visit counts: UCT (Kocsis and Szepesvari, 2006). No model in here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from aha.evals.scaling.sampler import Draft


@dataclass(slots=True)
class Node:
    """A partial response in the tree."""

    draft: Draft
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0
    """Sum of the values of the visits."""

    @property
    def mean(self) -> float:
        return self.total / self.visits if self.visits else 0.0

    def path(self) -> list["Node"]:
        """From here to the root."""
        return [self] if self.parent is None else [self, *self.parent.path()]

    def backup(self, value: float) -> None:
        """Count a visit of this value here and in every node above."""
        for node in self.path():
            node.visits += 1
            node.total += value

    def best_child(self, exploration: float) -> "Node":
        """The child of the greatest upper bound; one that was never visited comes first."""
        unseen = next((child for child in self.children if not child.visits), None)
        return unseen or max(self.children, key=lambda child: child.bound(exploration))

    def bound(self, exploration: float) -> float:
        """mean + c sqrt(ln(visits of the parent) / visits)."""
        assert self.parent is not None and self.visits
        return self.mean + exploration * math.sqrt(math.log(self.parent.visits) / self.visits)


def select(root: Node, exploration: float) -> Node:
    """The leaf that the upper bounds lead to."""
    node = root
    while node.children:
        node = node.best_child(exploration)
    return node


def add_children(node: Node, drafts: Sequence[Draft]) -> None:
    """Put different continuations below a node."""
    node.children = [Node(draft, node) for draft in distinct(drafts)]


def distinct(drafts: Sequence[Draft]) -> list[Draft]:
    """Of equal responses the first one."""
    found: dict[tuple[int, ...], Draft] = {}
    for draft in drafts:
        found.setdefault(draft.ids, draft)
    return list(found.values())
