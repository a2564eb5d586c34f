"""For tests and scripts: a stage function's context without a run around it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from aha.config import Config
from aha.pipeline.progress import Progress
from aha.pipeline.ranks import Ranks
from aha.pipeline.stage import StageContext, checkpoints

ConfigT = TypeVar("ConfigT", bound=Config)


def stage_context(
    directory: Path,
    config: ConfigT,
    inputs: Mapping[str, Path] | None = None,
    ranks: Ranks | None = None,
) -> StageContext[ConfigT]:
    """A context in `directory` that resumes from the newest checkpoint there; it prints nothing."""
    directory.mkdir(parents=True, exist_ok=True)
    newest = checkpoints(directory)[-1:]
    return StageContext(
        directory=directory,
        config=config,
        inputs=inputs or {},
        ranks=ranks or Ranks(),
        resume_from=newest[0] if newest else None,
        log=Progress(enabled=False),
    )
