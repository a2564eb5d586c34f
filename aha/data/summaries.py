"""Drafts made readable: the summary for the reader, thoughts in one language (2501.12948v2, B.3.2).

By rules one sentence with the answer is written. A writer writes the paper's summary (Listing 1)
and translates mixed thoughts. What it writes is checked again: a summary that has lost the answer,
or is hard to read itself, takes its draft along.
"""

from collections.abc import Sequence

from aha.data.config import ColdStartConfig
from aha.data.drafts import Draft, groups_of, in_preference, judge_summaries, set_reading_faults
from aha.data.filters import reading_fault
from aha.data.prompts import summary_prompt, translate_prompt
from aha.data.writers import WRITER_TEMPERATURE, WRITER_TOP_P, Writer, write
from aha.engine.types import SamplingParams
from aha.rewards.response import TAGS

WRITING_REASONS = ("no summary", "answer lost")
SENTENCES = {
    "en": " So the answer is {answer}.",
    "zh": "所以答案是 {answer}。",
    "fr": " La réponse est {answer}.",
    "de": " Die Antwort ist {answer}.",
    "es": " La respuesta es {answer}.",
}
"""The sentence of the writer `rules`, by language; English for all others."""


def by_rules(drafts: Sequence[Draft]) -> None:
    """Where a summary is missing, one sentence with the answer."""
    for draft in _to_be_written(drafts):
        template = SENTENCES.get(draft.problem.language, SENTENCES["en"])
        draft.summary = template.format(answer=draft.summary).strip()
        draft.needs_summary = False


def writer_params(config: ColdStartConfig) -> SamplingParams:
    """How summaries and translations are sampled."""
    return SamplingParams(
        temperature=WRITER_TEMPERATURE,
        top_p=WRITER_TOP_P,
        max_new_tokens=config.writer_max_new_tokens,
    )


def translate(drafts: Sequence[Draft], writer: Writer, config: ColdStartConfig) -> None:
    """Turn mixed thoughts into the language of the question, as many as a problem has room for."""
    chosen: list[Draft] = []
    for group in groups_of(drafts):
        room = config.per_problem - len(in_preference(group, config))
        chosen += in_preference(group, config, fault="mixed language")[: max(0, room)]
    prompts = [translate_prompt(draft.problem.question, draft.thinking) for draft in chosen]
    for draft, text in zip(chosen, write(writer, prompts, writer_params(config)), strict=True):
        if text and not _has_tags(text):
            draft.thinking, draft.length = text, len(text)
            draft.source += ", translated"
            draft.fault, draft.needs_summary = None, True  # its summary was mixed as well
    set_reading_faults(chosen, config, is_rewritten=True)


def by_writer(drafts: Sequence[Draft], writer: Writer, config: ColdStartConfig) -> None:
    """Where a summary is missing, the writer's; its answer is judged again."""
    chosen = _to_be_written(drafts)
    prompts = [summary_prompt(draft.problem.question, draft.thinking) for draft in chosen]
    for draft, text in zip(chosen, write(writer, prompts, writer_params(config)), strict=True):
        draft.summary, draft.needs_summary = text or "", False
        if not text or _has_tags(text):
            draft.fault = "no summary"
    written = [draft for draft in chosen if draft.fault is None]
    for draft, verdict in zip(written, judge_summaries(written), strict=True):
        if not verdict.is_correct:
            draft.fault = "answer lost"
        else:
            language = draft.problem.language
            draft.fault = reading_fault("", draft.summary, language=language, filters=config)


def _to_be_written(drafts: Sequence[Draft]) -> list[Draft]:
    return [draft for draft in drafts if draft.fault is None and draft.needs_summary]


def _has_tags(text: str) -> bool:
    return any(tag in text for tag in TAGS)
