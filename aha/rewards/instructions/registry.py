"""The 25 instructions by their published ids, with their arguments checked."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aha.errors import UserError, nearest
from aha.rewards.instructions import content, language, layout
from aha.rewards.instructions.counting import RELATIONS

INSTRUCTIONS: dict[str, Callable[..., bool]] = {
    "keywords:existence": content.has_keywords,
    "keywords:frequency": content.keyword_frequency,
    "keywords:forbidden_words": content.no_forbidden_words,
    "keywords:letter_frequency": content.letter_frequency,
    "language:response_language": language.is_in_language,
    "length_constraints:number_sentences": content.number_of_sentences,
    "length_constraints:number_paragraphs": content.number_of_paragraphs,
    "length_constraints:number_words": content.number_of_words,
    "length_constraints:nth_paragraph_first_word": content.nth_paragraph_first_word,
    "detectable_content:number_placeholders": layout.number_of_placeholders,
    "detectable_content:postscript": layout.has_postscript,
    "detectable_format:number_bullet_lists": layout.number_of_bullets,
    "detectable_format:constrained_response": layout.is_one_of_the_choices,
    "detectable_format:number_highlighted_sections": layout.number_of_highlights,
    "detectable_format:multiple_sections": layout.number_of_sections,
    "detectable_format:json_format": layout.is_json,
    "detectable_format:title": layout.has_title,
    "combination:two_responses": layout.are_two_responses,
    "combination:repeat_prompt": content.repeats_prompt,
    "startend:end_checker": content.ends_with,
    "startend:quotation": content.in_quotation_marks,
    "change_case:capital_word_frequency": content.capital_word_frequency,
    "change_case:english_capital": language.is_english_capitals,
    "change_case:english_lowercase": language.is_english_lowercase,
    "punctuation:no_comma": content.no_comma,
}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a prompt, with its arguments."""

    id: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def is_followed(self, text: str) -> bool:
        """Whether a reply keeps to it; an empty reply keeps to nothing. Total, linear time."""
        return bool(text.strip()) and INSTRUCTIONS[self.id](text, **self.arguments)


def parse_instructions(ids: Sequence[str], arguments: Sequence[Any]) -> tuple[Instruction, ...]:
    """The instructions of a row of IFEval. Raises UserError."""
    if len(ids) != len(arguments) or not ids:
        raise UserError(
            f"{len(ids)} instructions and {len(arguments)} sets of arguments",
            hint="instruction_id_list and kwargs are lists of one length",
        )
    pairs = zip(ids, arguments, strict=True)
    return tuple(parse_instruction(name, given or {}) for name, given in pairs)


def parse_instruction(name: str, given: Mapping[str, Any]) -> Instruction:
    """An instruction by its id; arguments that are None count as not given. Raises UserError."""
    if name not in INSTRUCTIONS:
        near = nearest(str(name), INSTRUCTIONS)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(INSTRUCTIONS)}"
        raise UserError(f"unknown instruction {name!r}", hint=hint)
    if not isinstance(given, Mapping):
        raise UserError(f"instruction {name!r}: arguments {given!r}", hint="an object, as {}")
    arguments = {key: value for key, value in given.items() if value is not None}
    parameters = dict(list(inspect.signature(INSTRUCTIONS[name]).parameters.items())[1:])
    for key in [*parameters, *arguments]:
        if (key in parameters) != (key in arguments):
            fault = "has no argument" if key in arguments else "needs the argument"
            wanted = ", ".join(parameters) or "none"
            raise UserError(f"instruction {name!r} {fault} {key!r}", hint=f"arguments: {wanted}")
    for key, parameter in parameters.items():
        arguments[key] = _checked(name, key, parameter.annotation, arguments[key])
    return Instruction(name, arguments)


def _checked(name: str, key: str, kind: Any, value: Any) -> Any:
    """An argument of the right type: whole numbers may be written as 3.0, as data tools do."""
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if "relation" in key:
        is_right = value in RELATIONS
    elif kind is int:
        is_right = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    elif kind is str:
        is_right = isinstance(value, str) and bool(value.strip())
    else:
        words = value if isinstance(value, list | tuple) else [None]
        is_right = all(isinstance(word, str) and word for word in words)
    if not is_right or (key == "nth_paragraph" and value == 0):
        hint = f"one of: {', '.join(RELATIONS)}" if "relation" in key else "see arXiv 2311.07911"
        raise UserError(f"instruction {name!r}: {key} = {value!r}", hint=hint)
    return value
