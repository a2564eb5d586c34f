"""Training data for fine-tuning: rows of a JSONL file as token ids with a loss mask.

A row is a conversation, `{"messages": [...]}`, rendered by the model's chat template, or text that
is already rendered, `{"prompt": ..., "response": ...}`. Other keys are left alone.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aha.chat.conversations import (
    MESSAGES_HINT,
    Piece,
    find_end_of_turn,
    read_messages,
    training_samples,
)
from aha.chat.templates import builtin_chat_template
from aha.errors import UserError
from aha.model.tokenizer import Tokenizer
from aha.pipeline.ranks import Ranks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenSample:
    """One text to train on."""

    id: str
    group: str
    """Samples that begin with the same prompt have the same one."""
    tokens: NDArray[np.int32]
    is_trained: NDArray[np.bool_]
    """The loss mask: what the assistant says, end-of-turn tokens included."""

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    @property
    def num_trained(self) -> int:
        return int(self.is_trained.sum())

    def cut(self, max_tokens: int) -> "TokenSample":
        """The first tokens; without its end it does not teach to stop."""
        return TokenSample(
            id=self.id,
            group=self.group,
            tokens=self.tokens[:max_tokens],
            is_trained=self.is_trained[:max_tokens],
        )


@dataclass(slots=True)
class RowEncoder:
    """Rows to samples. The first conversation gives a model without a chat template a built-in one.

    That changes the tokenizer: the template is saved with the model that learns it, and the token
    that ends a turn ends a generation from then on.
    """

    tokenizer: Tokenizer
    _end_of_turn: int | None = None
    _eos: int = field(init=False)

    def __post_init__(self) -> None:
        if self.tokenizer.eos_token_id is None:
            raise UserError(
                "this model's tokenizer has no end-of-text token, so nothing teaches it to stop",
                hint="set eos_token in tokenizer_config.json",
            )
        self._eos = self.tokenizer.eos_token_id

    @property
    def has_chat(self) -> bool:
        """Whether the tokenizer is ready for conversations."""
        return self._end_of_turn is not None

    def encode(self, row: Mapping[str, Any], name: str) -> list[TokenSample]:
        """The samples of one row, most often one. UserError says what is wrong with it."""
        name = str(row.get("id", name))
        if "messages" in row:
            return self._conversation(row["messages"], name)
        prompt, response = row.get("prompt"), row.get("response")
        if not isinstance(prompt, str) or not isinstance(response, str) or not response:
            raise UserError(
                "a row needs messages, or the texts prompt and response", hint=MESSAGES_HINT
            )
        return self._samples([[Piece(prompt, False), Piece(response, True)]], name, self._eos)

    def prepare_chat(self) -> int:
        """Make the tokenizer ready for conversations; returns the token that ends a turn."""
        if self._end_of_turn is None:
            tokenizer = self.tokenizer
            if tokenizer.chat_template is None:
                tokenizer.chat_template = builtin_chat_template(
                    lambda token: tokenizer.token_to_id(token) is not None
                )
            self._end_of_turn = _first_added_token(tokenizer, find_end_of_turn(tokenizer))
            if self._end_of_turn is None:
                self._end_of_turn = self._eos
            stops = dict.fromkeys((*tokenizer.eos_token_ids, self._end_of_turn))
            tokenizer.eos_token_ids = tuple(stops)
        return self._end_of_turn

    def _conversation(self, value: object, name: str) -> list[TokenSample]:
        messages = read_messages(value)
        end = self.prepare_chat()
        text = self.tokenizer.id_to_token(end)
        assert text is not None
        return self._samples(
            training_samples(messages, self.tokenizer, end_of_turn=text), name, end
        )

    def _samples(
        self, samples: Sequence[Sequence[Piece]], name: str, end: int
    ) -> list[TokenSample]:
        prompt = samples[0][0].text
        group = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return [self._sample(pieces, name, group, end) for pieces in samples]

    def _sample(self, pieces: Sequence[Piece], name: str, group: str, end: int) -> TokenSample:
        """Pieces are encoded apart, as a rollout does: a token never spans prompt and response."""
        tokens: list[int] = []
        is_trained: list[bool] = []
        for piece in pieces:
            ids = self.tokenizer.encode(piece.text, with_bos=not tokens)
            ids += [end] * piece.is_trained
            tokens += ids
            is_trained += [piece.is_trained] * len(ids)
        is_trained[0] = False  # nothing precedes it that could predict it
        return TokenSample(
            id=name,
            group=group,
            tokens=np.array(tokens, dtype=np.int32),
            is_trained=np.array(is_trained, dtype=np.bool_),
        )


def load_samples(path: Path, tokenizer: Tokenizer, ranks: Ranks) -> list[TokenSample]:
    """All samples of a file, in its order; each rank encodes a share. Raises UserError."""
    lines = list(numbered_lines(path))
    if not lines:
        raise UserError(f"{path} has no rows", hint="the stage before kept nothing: see its funnel")
    encoder = RowEncoder(tokenizer)
    mine = [
        sample
        for number, line in ranks.share(lines)
        for sample in _encode_line(encoder, path, number, line)
    ]
    if any(ranks.gather(encoder.has_chat)):
        encoder.prepare_chat()
    return [sample for part in ranks.gather(mine) for sample in part]


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a JSONL file that are not blank, with their numbers from 1. UserError."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}", hint="JSONL is UTF-8 text") from error


def fit_samples(
    samples: Sequence[TokenSample], *, max_tokens: int, cut: bool
) -> tuple[list[TokenSample], int]:
    """Samples of at most `max_tokens`, and how many were longer: they are cut off or left out.

    A sample that loses all that would be trained on is left out.
    """
    kept = [s.cut(max_tokens) if cut else s for s in samples if cut or s.num_tokens <= max_tokens]
    num_overlong = sum(sample.num_tokens > max_tokens for sample in samples)
    return [sample for sample in kept if sample.num_trained], num_overlong


def _encode_line(encoder: RowEncoder, path: Path, number: int, line: str) -> list[TokenSample]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}, line {number}: {error}", hint=MESSAGES_HINT) from error
    if not isinstance(row, dict):
        raise UserError(f"{path}, line {number} is no JSON object", hint=MESSAGES_HINT)
    try:
        return encoder.encode(row, f"line {number}")
    except UserError as error:
        raise UserError(f"{path}, line {number}: {error.message}", hint=error.hint) from error


def _first_added_token(tokenizer: Tokenizer, text: str) -> int | None:
    """The added token that a text begins with."""
    ids = tokenizer.encode(text)
    return ids[0] if ids and ids[0] in tokenizer.backend.get_added_tokens_decoder() else None
