"""A reward model whose body stays as it is: only the head is fitted, by cross-validation.

For few preferences and large bodies: every text is read once, the rest takes seconds. The head is
the minimum of the Bradley-Terry loss (pairs) or of the logistic one (labels) with a quadratic
penalty, over features in units of their spread. Each row is measured with a head that was fitted
without its prompt's fold; the head that is written saw all rows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aha.model.reward_model import RewardModel, reward_model_of, write_reward_model
from aha.pipeline.stage import StageContext, StageResult
from aha.trainers.config import RewardModelConfig
from aha.trainers.preference import microbatches, padded
from aha.trainers.reward_model import Example, HeldBack, examples, labelled, ranked, split

PART_TEXTS = 64
MAX_ITERATIONS = 200


def train(ctx: StageContext[RewardModelConfig]) -> StageResult:
    """Fit a head to the rows of `data` on the body of `model`; the output is a HF folder."""
    config = ctx.config
    linear_dtype = torch.bfloat16 if config.dtype == "bfloat16" else None
    loaded = reward_model_of(ctx.inputs["model"], linear_dtype=linear_dtype)
    found = examples(ctx.inputs["data"], config, loaded.tokenizer)
    features = read_all(ctx, loaded.model, found)
    spread_D = features.std(dim=0) + 1e-3
    advantage_ND = advantages(features / spread_D, found)
    quality = cross_validated(advantage_ND, found, config)
    head_D = fit(advantage_ND, config.head_penalty) / spread_D
    with torch.no_grad():
        loaded.model.score.weight.copy_(head_D[None])
    ctx.publish("model", lambda folder: write_reward_model(folder, loaded.model, loaded.tokenizer))
    metrics: dict[str, Any] = {"step": 1, **quality.metrics()}
    ctx.append("metrics.jsonl", metrics)
    ctx.log.note(
        f"cross-validated: {quality.accuracy:.1%} +- {quality.stderr:.1%} right of "
        f"{quality.num_rows:,}, calibration error {quality.calibration_error:.3f}"
    )
    return StageResult(output="model", summary={"rows": len(found), **quality.metrics()})


def read_all(
    ctx: StageContext[RewardModelConfig], model: RewardModel, found: Sequence[Example]
) -> Tensor:
    """Hidden states [texts, D] at the last token of every text, of all ranks together.

    A rank writes what it has read in parts, so that nothing is read twice after a kill.
    """
    texts = [row for example in found for row in example.rows]
    mine, ranks = ctx.ranks.share(texts), ctx.ranks
    folder = ctx.directory / "features"
    folder.mkdir(exist_ok=True)
    read = []
    for start in range(0, len(mine), PART_TEXTS):
        path = folder / f"rank-{ranks.rank}-of-{ranks.world_size}-text-{start:06d}.pt"
        read.append(_part(path, model, mine[start : start + PART_TEXTS], ctx.config))
        ctx.log.note(f"read {min(start + PART_TEXTS, len(mine)):,} of {len(mine):,} texts a rank")
    own = torch.cat(read) if read else torch.zeros(0, model.config.hidden_size)
    return torch.cat(ranks.gather(own))


def _part(
    path: Path, model: RewardModel, texts: Sequence[list[int]], config: RewardModelConfig
) -> Tensor:
    if path.exists():
        saved: Tensor = torch.load(path, weights_only=True)
        return saved
    features = last_states(model, texts, tokens_per_microbatch=config.tokens_per_microbatch)
    temporary = path.with_suffix(".part")
    torch.save(features, temporary)
    temporary.replace(path)
    return features


@torch.no_grad()
def last_states(
    model: RewardModel, texts: Sequence[list[int]], *, tokens_per_microbatch: int
) -> Tensor:
    """Final hidden states [N, D], float32, at the last tokens, in the order of the texts."""
    states = torch.empty(len(texts), model.config.hidden_size)
    for indices in microbatches(texts, max_tokens=tokens_per_microbatch):
        tokens_BT, lengths_B = padded([texts[index] for index in indices])
        rows = torch.arange(len(indices))
        states[torch.tensor(indices)] = model(tokens_BT)[rows, lengths_B - 1].float()
    return states


def advantages(features: Tensor, found: Sequence[Example]) -> Tensor:
    """Rows [N, D] whose product with a good head is positive: chosen less rejected, or signed."""
    if len(features) == 2 * len(found):
        return features[0::2] - features[1::2]
    sign_N = torch.tensor([1.0 if example.safe else -1.0 for example in found])
    return features * sign_N[:, None]


def fit(advantage_ND: Tensor, penalty: float) -> Tensor:
    """The head [D] with the least mean log(1 + exp(-advantage . head)) + penalty |head|^2."""
    head_D = torch.zeros(advantage_ND.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([head_D], max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.softplus(-(advantage_ND @ head_D)).mean()
        value = value + penalty * head_D.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return head_D.detach()


def cross_validated(
    advantage_ND: Tensor, found: Sequence[Example], config: RewardModelConfig
) -> HeldBack:
    """Quality on all rows, each with a head that was fitted without the rows of its fold."""
    place = {id(example): index for index, example in enumerate(found)}
    num_prompts = len({example.prompt for example in found})
    num_folds = num_prompts // max(1, round(num_prompts * config.held_back_fraction))
    advantage_N = torch.full((len(found),), torch.nan)
    for fold in range(num_folds):
        trained, held_back = split(found, config.replace(fold=fold))
        head_D = fit(advantage_ND[[place[id(e)] for e in trained]], config.head_penalty)
        rows = [place[id(e)] for e in held_back]
        advantage_N[rows] = advantage_ND[rows] @ head_D
    measured_N = ~advantage_N.isnan()  # what is left over of uneven folds is trained on alone
    if config.kind == "pairwise":
        return ranked(advantage_N[measured_N], torch.zeros(int(measured_N.sum())))
    safe_N = torch.tensor([example.safe for example in found])[measured_N]
    return labelled(torch.where(safe_N, 1.0, -1.0) * advantage_N[measured_N], safe_N)
