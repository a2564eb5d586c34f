"""A model's own responses as drafts: cold start from R1-Zero, rejection sampling."""

from collections.abc import Sequence
from typing import Any

import torch

from aha.chat.grammar import ends_in_open_think, parse_response, parse_thinking
from aha.data.config import ColdStartConfig, RejectionConfig
from aha.data.drafts import Draft
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.model.hf_folder import load_model
from aha.pipeline.stage import StageContext
from aha.rewards.response import form_of, is_well_formed
from aha.trainers.rollouts import Asked, Prompter, Sample, sample_groups


class Sampler:
    """The stage's model, which answers problems."""

    def __init__(self, ctx: StageContext[Any], source: str):
        config: ColdStartConfig | RejectionConfig = ctx.config
        loaded = load_model(ctx.inputs["model"], dtype=getattr(torch, config.dtype))
        self.config, self.source = config, source
        self.form = form_of(config.template)
        self.prompter = Prompter(config.template, loaded.tokenizer)
        self.engine = Engine(
            loaded.model, loaded.tokenizer, max_batch_rows=config.max_batch_rows, seed=config.seed
        )
        self.params = SamplingParams(
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
        )

    def drafts(self, asked: Sequence[Asked], number: int) -> list[Draft]:
        """`samples` responses to each problem of a chunk, judged by rules; in order."""
        samples = sample_groups(
            self.engine,
            self.prompter,
            asked,
            self.params,
            samples_per_prompt=self.config.samples,
            step=number,
        )
        places = {item.group: item for item in asked}
        return [self._draft(sample, places[sample.group]) for sample in samples]

    def _draft(self, sample: Sample, asked: Asked) -> Draft:
        opened = ends_in_open_think(sample.prompt)
        parse = parse_response if self.form == "think_answer" else parse_thinking
        parsed = parse(sample.completion.text, prompt_opens_think=opened)
        is_whole = is_well_formed(sample.completion.text, self.form, prompt_opens_think=opened)
        fault = "unfinished" if sample.is_truncated else None if is_whole else "malformed"
        return Draft(
            asked=asked,
            index=sample.index,
            thinking=parsed.think or "",
            summary=parsed.answer or "",
            length=sample.length_tokens,
            source=self.source,
            verdict=sample.verdict,
            fault=fault,
            needs_summary=self.form == "think_answer",
        )
