"""A decoder with a scalar head: one score for a whole text.

The folder is that of a Hugging Face `...ForSequenceClassification` with one label: the tensor
`score.weight` [1, D] beside the body, and no output matrix.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from aha.model.config import ModelConfig
from aha.model.decoder import Decoder, Linear
from aha.model.hf_folder import load_decoder, load_model, write_model
from aha.model.tokenizer import Tokenizer


class RewardModel(Decoder):
    """The body of a language model and a score of its last token; a new head scores 0."""

    def __init__(self, config: ModelConfig, *, linear_dtype: torch.dtype | None = None):
        super().__init__(
            dataclasses.replace(config, tie_embeddings=True), linear_dtype=linear_dtype
        )
        self.score = Linear(config.hidden_size, 1, bias=False)
        if self.score.weight.device.type != "meta":
            torch.nn.init.zeros_(self.score.weight)

    def scores(self, tokens_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Scores [B], float32, of texts that are padded on the right; lengths in tokens."""
        hidden_BTD = self(tokens_BT)
        rows = torch.arange(len(tokens_BT), device=tokens_BT.device)
        last_BD = hidden_BTD[rows, lengths_B - 1]
        score: Tensor = self.score(last_BD.to(self.score.weight.dtype))[:, 0].float()
        return score


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRewardModel:
    """What a reward model's folder holds."""

    model: RewardModel
    tokenizer: Tokenizer


def reward_model_of(
    path: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    linear_dtype: torch.dtype | None = None,
) -> LoadedRewardModel:
    """A new reward model with the body of a language model's folder.

    linear_dtype: see `Decoder`.
    """
    loaded = load_model(path, dtype=dtype)
    model = RewardModel(loaded.config, linear_dtype=linear_dtype).to(dtype)
    body = {n: p for n, p in loaded.model.state_dict().items() if not n.startswith("lm_head")}
    missing, unexpected = model.load_state_dict(body, strict=False)
    assert missing == ["score.weight"] and not unexpected, (missing, unexpected)
    return LoadedRewardModel(model=model, tokenizer=loaded.tokenizer)


def load_reward_model(
    path: str | Path, *, dtype: torch.dtype | None = torch.float32
) -> LoadedRewardModel:
    """Read a trained reward model. Raises UserError, also for a folder without a head."""
    model, tokenizer = load_decoder(path, RewardModel, dtype=dtype)
    return LoadedRewardModel(model=model, tokenizer=tokenizer)


def write_reward_model(folder: Path, model: RewardModel, tokenizer: Tokenizer) -> None:
    """Write the files into an existing directory."""
    write_model(folder, model, tokenizer)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    names = [name.replace("ForCausalLM", "") for name in config["architectures"]]
    config["architectures"] = [f"{name}ForSequenceClassification" for name in names]
    config["num_labels"] = 1
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
