"""Answers of mathematics, multiple choice and short text: found in a reply and compared.

`verify` is what rewards call. docs/verifiers/math.md has the policy, one line a choice.
"""

from aha.rewards.math.boxed import (
    last_boxed_content,
    last_boxed_string,
    unwrap_boxed,
    xml_fields,
)
from aha.rewards.math.choice import extract_choice
from aha.rewards.math.extraction import Extracted, extract
from aha.rewards.math.verifier import verify, verify_here

__all__ = [
    "Extracted",
    "extract",
    "extract_choice",
    "last_boxed_content",
    "last_boxed_string",
    "unwrap_boxed",
    "verify",
    "verify_here",
    "xml_fields",
]
