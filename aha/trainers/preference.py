"""What reward models read, and their scores: training and RL use the same text."""

from collections.abc import Sequence

import torch
from torch import Tensor

from aha.chat.grammar import THINK_CLOSE, THINK_OPEN, ends_in_open_think
from aha.chat.templates import render_prompt
from aha.model.reward_model import RewardModel
from aha.model.tokenizer import Tokenizer
from aha.rewards.response import form_of


def text_ids(
    tokenizer: Tokenizer, template: str, question: str, text: str, *, max_tokens: int
) -> list[int]:
    """Prompt, text and end of text as token ids; what is too long loses its beginning."""
    prompt = render_prompt(template, question, tokenizer)
    if form_of(template) == "think" and tokenizer.token_to_id(THINK_OPEN) is not None:
        text = with_thinking(text, opened=ends_in_open_think(prompt))
    ids = [*tokenizer.encode(prompt + text, with_bos=True), *tokenizer.eos_token_ids[:1]]
    return ids[-max_tokens:]


def with_thinking(text: str, *, opened: bool) -> str:
    """A summary alone behind an empty thought; a response with thinking as it is.

    Where a model begins to think it has made up its mind about the prompt: a reward model with its
    body finds there what it would otherwise have to learn from the pairs.
    """
    if THINK_CLOSE in text:
        return text
    return f"{'' if opened else THINK_OPEN}{THINK_CLOSE} {text}"


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids [B, T] padded on the right with 0, and lengths [B]."""
    lengths_B = torch.tensor([len(row) for row in rows])
    tokens_BT = torch.zeros(len(rows), int(lengths_B.max()), dtype=torch.long)
    for index, row in enumerate(rows):
        tokens_BT[index, : len(row)] = torch.tensor(row)
    return tokens_BT, lengths_B


def microbatches(rows: Sequence[Sequence[int]], *, max_tokens: int) -> list[list[int]]:
    """Indices of rows of like length whose padded size stays within max_tokens (one at least)."""
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
    batches: list[list[int]] = []
    for index in order:
        if batches and len(rows[batches[-1][0]]) * (len(batches[-1]) + 1) <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def score_rows(
    model: RewardModel, rows: Sequence[Sequence[int]], *, tokens_per_microbatch: int
) -> Tensor:
    """Scores [N] of token rows, in their order, float32; with gradient where that is on."""
    if not rows:
        return torch.zeros(0)
    parts, order = [], []
    for indices in microbatches(rows, max_tokens=tokens_per_microbatch):
        parts.append(model.scores(*padded([rows[index] for index in indices])))
        order += indices
    back = torch.empty(len(rows), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(rows))
    return torch.cat(parts)[back]
