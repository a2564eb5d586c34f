"""How thinking emerges: behaviours found in thoughts, what goes with them, what they cause."""

from aha.evals.emergence.analysis import SIGNS, summarise, within_problems
from aha.evals.emergence.detectors import Found, count_behaviours, find_behaviours
from aha.evals.emergence.intermediate import first_right
from aha.evals.emergence.observe import (
    Observed,
    Observer,
    observe,
    observe_all,
    rows_of_result,
)
from aha.evals.emergence.wording import BEHAVIOURS, MEANING, Behaviour

__all__ = [
    "BEHAVIOURS",
    "MEANING",
    "SIGNS",
    "Behaviour",
    "Found",
    "Observed",
    "Observer",
    "count_behaviours",
    "find_behaviours",
    "first_right",
    "observe",
    "observe_all",
    "rows_of_result",
    "summarise",
    "within_problems",
]
