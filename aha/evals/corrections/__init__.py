"""Self-corrections in a chain of thought: found, judged by arithmetic, and counted."""

from aha.evals.corrections.analysis import (
    KINDS,
    MEANING,
    Correction,
    CorrectionKind,
    analyse_corrections,
)
from aha.evals.corrections.rates import (
    CorrectionRates,
    count_corrections,
    merge_rates,
    rate_responses,
    thought_of,
)

__all__ = [
    "KINDS",
    "MEANING",
    "Correction",
    "CorrectionKind",
    "CorrectionRates",
    "analyse_corrections",
    "count_corrections",
    "merge_rates",
    "rate_responses",
    "thought_of",
]
