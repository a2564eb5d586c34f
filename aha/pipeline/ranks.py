"""What the processes of one run say to each other (torch.distributed, gloo).

With a world of one nothing is communicated and torch.distributed is never imported.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter

T = TypeVar("T")
Items = TypeVar("Items", bound=Sequence[Any])


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's place among the `world_size` processes of the run."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """True on rank 0, the only one that writes files and prints."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """True in a world of one, where nothing is communicated."""
        return self.world_size == 1

    def share(self, items: Items) -> Items:
        """This rank's slice: contiguous, in order, sizes differ by at most one."""
        bounds = [len(items) * rank // self.world_size for rank in (self.rank, self.rank + 1)]
        share: Items = items[bounds[0] : bounds[1]]  # type: ignore[assignment]
        return share

    def deal(self, items: Sequence[T]) -> list[T]:
        """Every n-th item, like cards: each kind of a list that has kinds in a row is divided."""
        return list(items[self.rank :: self.world_size])

    def sum(self, *values: float) -> list[float]:
        """Each value summed over the ranks, in float64."""
        if self.is_alone:
            return [float(value) for value in values]
        import torch

        total = torch.tensor(values, dtype=torch.float64)
        self.sum_(total)
        return [float(value) for value in total]

    def sum_(self, tensor: "Tensor") -> None:
        """Sum a tensor over the ranks, in place."""
        if not self.is_alone:
            import torch.distributed as dist

            dist.all_reduce(tensor)

    def sum_gradients(self, parameters: "Iterable[Parameter]") -> None:
        """Sum the gradients over the ranks in float32, in one go; a missing one counts as zeros."""
        if self.is_alone:
            return
        import torch

        trained = [p for p in parameters if p.requires_grad]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flat = torch.cat([grad.reshape(-1).float() for grad in grads])
        self.sum_(flat)
        parts = torch.split(flat, [grad.numel() for grad in grads])
        for parameter, part in zip(trained, parts, strict=True):
            parameter.grad = part.view_as(parameter).to(parameter.dtype)

    def gather(self, value: T) -> list[T]:
        """Every rank's value (anything that pickles), in rank order, on every rank."""
        if self.is_alone:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: T) -> T:
        """Rank 0's value, on every rank."""
        if self.is_alone:
            return value
        import torch.distributed as dist

        box: list[Any] = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def barrier(self) -> None:
        """Wait until every rank is here."""
        if not self.is_alone:
            import torch.distributed as dist

            dist.barrier()
