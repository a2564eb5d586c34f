"""aha trains language models to think: the DeepSeek-R1 recipe as software.

The names below are imported when they are first used, so that `import aha` stays instant.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Engine": "aha.engine.engine",
    "HealthError": "aha.errors",
    "Problem": "aha.tasks.task",
    "Task": "aha.tasks.task",
    "UserError": "aha.errors",
    "Verdict": "aha.rewards.verdict",
    "evaluate": "aha.evals.evaluate",
    "load_model": "aha.model.hf_folder",
    "reward": "aha.rewards.user",
    "run": "aha.recipes.run",
}

if TYPE_CHECKING:
    from aha.engine.engine import Engine as Engine
    from aha.errors import HealthError as HealthError
    from aha.errors import UserError as UserError
    from aha.evals.evaluate import evaluate as evaluate
    from aha.model.hf_folder import load_model as load_model
    from aha.recipes.run import run as run
    from aha.rewards.user import reward as reward
    from aha.rewards.verdict import Verdict as Verdict
    from aha.tasks.task import Problem as Problem
    from aha.tasks.task import Task as Task

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'aha' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
