"""A small recipe for the pipeline's tests: stages that count, on one or two ranks.

It is a whole program too: `python -m tests.pipeline.toy RUN_DIR KEY=VALUE ...`.
"""

import errno
import json
import os
import sys
import time
from functools import partial
from pathlib import Path

from aha.config import Config, build
from aha.errors import HealthError, UserError
from aha.pipeline.execute import execute
from aha.pipeline.launch import launched
from aha.pipeline.ranks import Ranks
from aha.pipeline.run_dir import RunDir, open_run, read_run
from aha.pipeline.stage import Stage, StageContext, StageResult


class ToyConfig(Config):
    num_steps: int = 6
    save_every: int = 2
    ranks: int = 1
    fail: str = ""
    fail_rank: int = 0
    fail_step: int = -1
    seconds_per_step: float = 0.0


class ToyRecipeConfig(Config):
    count: ToyConfig = ToyConfig()
    double: ToyConfig = ToyConfig()


def count(ctx: StageContext[ToyConfig]) -> StageResult:
    """Adds up (rank + 1) * step over steps and ranks; resumes from its checkpoints."""
    total = 0.0
    if ctx.resume_from is not None:
        total = json.loads((ctx.resume_from / "state.json").read_text())
    for step in range(ctx.resume_step + 1, ctx.config.num_steps + 1):
        maybe_fail(ctx, step)
        time.sleep(ctx.config.seconds_per_step)
        total += ctx.ranks.sum((ctx.ranks.rank + 1) * step)[0]
        ctx.append("metrics.jsonl", {"step": step, "total": total})
        ctx.write_samples(step, [{"step": step, "text": "x" * step}])
        if step % ctx.config.save_every == 0:
            ctx.save_checkpoint(step, partial(save, total=total), keep=2)
    ctx.publish("model", partial(save, total=total))
    return StageResult("model", {"total": total})


def double(ctx: StageContext[ToyConfig]) -> StageResult:
    """Doubles what `count` found; raises on a missing input."""
    total = 2 * json.loads((ctx.inputs["model"] / "state.json").read_text())
    ctx.publish("model", partial(save, total=total))
    return StageResult("model", {"doubled": total})


def save(folder: Path, total: float) -> None:
    (folder / "state.json").write_text(json.dumps(total))


def maybe_fail(ctx: StageContext[ToyConfig], step: int) -> None:
    if step != ctx.config.fail_step or ctx.ranks.rank != ctx.config.fail_rank:
        return
    if ctx.config.fail == "user":
        raise UserError("the toy is broken", hint="mend it")
    if ctx.config.fail == "health":
        raise HealthError("the toy is ill")
    if ctx.config.fail == "bug":
        raise ZeroDivisionError("a bug of ours")
    if ctx.config.fail == "exit":
        os._exit(9)
    if ctx.config.fail == "hang-after-death":  # rank 0 never meets the others again
        time.sleep(600)
    if ctx.config.fail == "interrupt":
        raise KeyboardInterrupt
    if ctx.config.fail == "disk":
        raise OSError(errno.ENOSPC, "No space left on device")


def stages(config: ToyRecipeConfig) -> list[Stage]:
    first = Stage("count", config.count, count)
    return [first, Stage("double", config.double, double, {"model": first})]


def run(path: Path, *, resume: bool = False, **values) -> RunDir:
    """What `aha.recipes.run.run` does, for the toy."""
    config = ToyRecipeConfig(count=ToyConfig(**values))
    opened = open_run(
        path, recipe="toy", config=config.table(), stages=stages(config), resume=resume
    )
    try:
        if not opened.is_done:
            with (
                opened.session(),
                launched(
                    "tests.pipeline.toy:work",
                    str(path),
                    config.count.ranks,
                    on_failure=lambda failure: note_failure(opened, failure),
                ) as ranks,
            ):
                execute(opened, stages(config), ranks)
    finally:
        opened.close()
    return opened


def note_failure(opened: RunDir, failure: BaseException) -> None:
    opened.fail(failure)
    print(f"error: {failure}", flush=True)


def work(argument: str, ranks: Ranks) -> None:
    record = read_run(Path(argument))
    config = build(ToyRecipeConfig, record["config"])
    execute(RunDir(Path(argument), record), stages(config), ranks)


if __name__ == "__main__":
    from aha.config import parse_value

    texts = dict(text.split("=", 1) for text in sys.argv[2:])
    from tests.pipeline import toy

    toy.run(Path(sys.argv[1]), **{key: parse_value(text) for key, text in texts.items()})
