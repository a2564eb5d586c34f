"""Before a run starts: what a cheater could earn from its rule rewards, shown and written down."""

import time
from collections.abc import Sequence
from typing import Any

from aha.pipeline.progress import Progress
from aha.pipeline.run_dir import RunDir
from aha.pipeline.stage import Stage
from aha.tasks.registry import load_task
from aha.trainers.config import GrpoConfig
from aha.trainers.red_team import Trial, try_cheats


def try_rewards(run: RunDir, stages: Sequence[Stage[Any]], log: Progress) -> None:
    """Print every trial and its warnings; run.json keeps them as `red_team` and `warnings`."""
    trials: list[Trial] = []
    tried: set[str] = set()  # a task of several stages is tried with the weights of the first
    started = time.monotonic()
    for stage in stages:
        if not isinstance(stage.config, GrpoConfig):
            continue
        for name in stage.config.task:
            if name not in tried and (task := load_task(name)).checkable:
                trials.append(try_cheats(task, stage.config))
            tried.add(name)
    for trial in trials:
        for line in trial.lines():
            log.note(line)
    if trials:
        log.note(f"red-team: {time.monotonic() - started:.1f} s; see docs/verifiers/red-team.md")
    warnings = [warning for trial in trials for warning in trial.warnings()]
    run.update(red_team=[trial.row() for trial in trials], warnings=warnings)
