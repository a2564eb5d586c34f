"""Checkpoints: a plain HF folder with the trainer's state beside the weights."""

from pathlib import Path
from typing import Any

import torch

from aha.errors import UserError
from aha.model.decoder import Decoder
from aha.model.hf_folder import load_decoder, write_model
from aha.model.tokenizer import Tokenizer
from aha.trainers.optim import Optimizers

STATE_FILE = "trainer.pt"


def save_checkpoint(
    folder: Path,
    model: Decoder,
    tokenizer: Tokenizer,
    optimizers: Optimizers,
    extra: dict[str, Any] | None = None,
) -> None:
    """Write everything that the next step depends on; random streams are named by step."""
    write_model(folder, model, tokenizer)
    state = {"optimizers": optimizers.state_dict(), "extra": extra or {}}
    torch.save(state, folder / STATE_FILE)


def load_checkpoint(folder: Path, model: Decoder, optimizers: Optimizers) -> dict[str, Any]:
    """Load weights and optimizer state in place; returns what was saved as `extra`."""
    saved, _ = load_decoder(folder, type(model), dtype=None)
    with torch.no_grad():
        for mine, theirs in zip(model.parameters(), saved.parameters(), strict=True):
            mine.copy_(theirs)
    try:
        state = torch.load(folder / STATE_FILE, weights_only=True)
        optimizers.load_state_dict(state["optimizers"])
        extra: dict[str, Any] = state["extra"]
    except Exception as error:  # a damaged file raises anything
        raise UserError(
            f"cannot read {folder / STATE_FILE}: {error}",
            hint=f"delete {folder} and resume from the checkpoint before it",
        ) from error
    return extra
