"""What a critic makes of a rollout: a value, an advantage and a return of every sampled token.

Equations: `aha.algorithms.ppo`. Shapes: B rows, T tokens of a row, N sampled tokens of one response
or of one micro-batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from aha.algorithms.kl import kl_estimate
from aha.algorithms.ppo import (
    Moments,
    explained_variance,
    gae,
    moments,
    token_rewards,
    whitened,
)
from aha.model.decoder import Decoder, PrefixedDecoder
from aha.model.reward_model import RewardModel
from aha.pipeline.ranks import Ranks
from aha.trainers.batch import MicroBatch, micro_batches
from aha.trainers.ppo_config import PpoConfig
from aha.trainers.rollouts import Sample
from aha.trainers.update import behind_prefix, is_trained_on, response_logprobs, sampled_states


@dataclass(frozen=True, slots=True)
class TokenValues:
    """Of every token of one response, float32."""

    old_values_N: Tensor
    advantages_N: Tensor
    returns_N: Tensor


@dataclass(frozen=True, slots=True)
class Valued:
    """This rank's samples of a step with what the critic makes of them."""

    samples: list[Sample]
    of: Mapping[tuple[int, int], TokenValues]
    """By the sample's group and index."""
    explained_variance: float
    """Of the rewards still to come, by the values before the update; on all ranks."""
    value_mean: float
    ref_kl: Moments
    """KL(policy || reference) of the tokens, where it is part of the reward; of this rank."""

    def column(self, batch: MicroBatch, name: str) -> Tensor:
        """One field of TokenValues as [B, T], 0 where nothing was sampled."""
        parts = [getattr(self.of[s.group, s.index], name) for s in batch.samples]
        empty_BT = torch.zeros_like(batch.old_logp_BT)
        return empty_BT.masked_scatter(batch.mask_BT, torch.cat(parts))


def value_samples(
    samples: Sequence[Sample],
    *,
    critic: RewardModel,
    reference: Decoder | None,
    config: PpoConfig,
    ranks: Ranks,
) -> Valued:
    """Values, advantages and returns of all tokens of a rollout; sets each sample's advantage.

    A sample's `advantage` is the mean over its tokens: what is written down and shown.
    """
    trained = [sample for sample in samples if is_trained_on(sample, config)]
    found: dict[tuple[int, int], TokenValues] = {}
    of_values, of_errors, of_rewards, ref_kl = Moments(), Moments(), Moments(), Moments()
    gamma = config.critic.gamma
    for batch, values_BT, ref_logp_BT in frozen_passes(trained, critic, reference, config):
        mask_BT = batch.mask_BT
        rewards_BT, kl_N = rewards_of(batch, ref_logp_BT, config)
        result = gae(
            rewards_BT, values_BT, mask_BT, gamma=gamma, gae_lambda=config.critic.gae_lambda
        )
        to_come_BT = gae(rewards_BT, values_BT, mask_BT, gamma=gamma, gae_lambda=1).returns_BT
        of_values += moments(values_BT[mask_BT])
        of_errors += moments((to_come_BT - values_BT)[mask_BT])
        of_rewards += moments(to_come_BT[mask_BT])
        ref_kl += moments(kl_N)
        for row, sample in enumerate(batch.samples):
            parts = (values_BT, result.advantages_BT, result.returns_BT)
            own = (part_BT[row][mask_BT[row]] for part_BT in parts)
            found[sample.group, sample.index] = TokenValues(*own)
    found = scaled(found, config, ranks)
    for sample in trained:
        sample.advantage = found[sample.group, sample.index].advantages_N.mean().item()
    explained = explained_variance(on_all(of_errors, ranks), on_all(of_rewards, ranks))
    return Valued(trained, found, explained, on_all(of_values, ranks).mean, ref_kl)


@torch.no_grad()
def frozen_passes(
    samples: Sequence[Sample], critic: RewardModel, reference: Decoder | None, config: PpoConfig
) -> Iterator[tuple[MicroBatch, Tensor, Tensor | None]]:
    """Micro-batches with values [B, T] before the update and the reference's log-probs [B, T].

    Those are None unless the KL divergence to the reference is part of the reward.
    """
    batches = list(micro_batches(samples, max_tokens=config.tokens_per_microbatch))
    prefixed, frozen = behind_prefix(critic, batches), None
    if config.kl_coef and config.critic.kl_in_reward and reference is not None:
        frozen = behind_prefix(reference, batches)
    for batch in batches:
        ref_logp_BT = None
        if frozen is not None:
            ref_logp_BT, _ = response_logprobs(frozen, batch, config.temperature)
        yield batch, response_values(prefixed, batch), ref_logp_BT


def response_values(prefixed: PrefixedDecoder, batch: MicroBatch) -> Tensor:
    """Values [B, T], float32: V of the text before each sampled token, 0 elsewhere.

    A token is drawn from the state of the token before it, and so is its value.
    """
    critic = cast(RewardModel, prefixed.model)
    hidden_ND = sampled_states(prefixed, batch)
    values_N = critic.score(hidden_ND.to(critic.score.weight.dtype))[:, 0].float()
    empty_BT = torch.zeros_like(batch.old_logp_BT)
    return empty_BT.masked_scatter(batch.mask_BT, values_N)


def rewards_of(
    batch: MicroBatch, ref_logp_BT: Tensor | None, config: PpoConfig
) -> tuple[Tensor, Tensor]:
    """Rewards [B, T] of the tokens, and their KL [N] to the reference where that is part of it."""
    scores_B = torch.tensor([sample.reward for sample in batch.samples])
    if ref_logp_BT is None:
        return token_rewards(scores_B, batch.mask_BT), torch.zeros(0)
    rewards_BT = token_rewards(
        scores_B,
        batch.mask_BT,
        logp_BT=batch.old_logp_BT,
        ref_logp_BT=ref_logp_BT,
        kl_coef=config.kl_weight,
    )
    return rewards_BT, kl_estimate(batch.old_logp_BT, ref_logp_BT)[batch.mask_BT]


def scaled(
    found: Mapping[tuple[int, int], TokenValues], config: PpoConfig, ranks: Ranks
) -> dict[tuple[int, int], TokenValues]:
    """Advantages as the loss sees them: whitened over the tokens of the step on all ranks."""
    if not config.critic.whiten:
        return dict(found)
    own = [values.advantages_N for values in found.values()]
    of_step = on_all(moments(torch.cat(own)) if own else Moments(), ranks)
    return {
        key: replace(values, advantages_N=whitened(values.advantages_N, of_step))
        for key, values in found.items()
    }


def on_all(own: Moments, ranks: Ranks) -> Moments:
    """Added up over the ranks."""
    return Moments(*ranks.sum(own.count, own.total, own.squares))
