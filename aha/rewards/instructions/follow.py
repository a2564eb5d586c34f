"""Which instructions a reply keeps to, strictly and loosely (arXiv 2311.07911, 2.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from aha.rewards.instructions.registry import Instruction

MAX_REPLY_CHARS = 1_000_000
"""Longer replies follow nothing."""


@dataclass(frozen=True, slots=True)
class Followed:
    """One truth value an instruction."""

    strict: tuple[bool, ...]
    loose: tuple[bool, ...]

    @property
    def all_strict(self) -> bool:
        return all(self.strict)

    @property
    def all_loose(self) -> bool:
        return all(self.loose)


def follow(instructions: Sequence[Instruction], reply: str) -> Followed:
    """Judge what the user reads (no reasoning, no tags). Never raises for what stands in it."""
    if len(reply) > MAX_REPLY_CHARS:
        return Followed((False,) * len(instructions), (False,) * len(instructions))
    others = variants(reply)[1:]
    strict = tuple(instruction.is_followed(reply) for instruction in instructions)
    loose = tuple(
        kept or any(instruction.is_followed(text) for text in others)
        for kept, instruction in zip(strict, instructions, strict=True)
    )
    return Followed(strict, loose)


def variants(reply: str) -> list[str]:
    """The reply, without its first line, its last line and both; each also without stars."""
    lines = reply.split("\n")
    cut = [lines, lines[1:], lines[:-1], lines[1:-1]]
    texts = [reply, *("\n".join(part).strip() for part in cut[1:])]
    return [*texts, *(text.replace("*", "") for text in texts)]
