"""Run the stages of a recipe in order: finished ones are skipped, an interrupted one goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aha.errors import UserError, nearest
from aha.pipeline.files import remove_folder, truncate_jsonl, write_json
from aha.pipeline.progress import Progress, format_seconds
from aha.pipeline.ranks import Ranks
from aha.pipeline.run_dir import RunDir, finished_output
from aha.pipeline.sources import Source
from aha.pipeline.stage import Stage, StageContext, StageResult, checkpoint_step, checkpoints


@dataclass(frozen=True)
class Attempt:
    """What rank 0 decided about a stage, for all ranks."""

    directory: Path
    output: Path | None
    """Of a stage that is already finished."""
    resume_from: Path | None
    is_skipped: bool = False
    """Left as it is: another stage is the only one to run."""


def execute(
    run: RunDir, stages: Sequence[Stage[Any]], ranks: Ranks, *, only: str | None = None
) -> dict[str, Path]:
    """Run every stage on every rank; rank 0 writes. Returns the outputs by stage name.

    only: run no stage but this one (rank 0 decides it for all); see `check_inputs`.
    """
    log = Progress(enabled=ranks.is_main)
    outputs: dict[str, Path] = {}
    for index, stage in enumerate(stages):
        attempt = ranks.broadcast(_prepare(run, index, stage, only) if ranks.is_main else None)
        assert attempt is not None
        if attempt.is_skipped:
            if attempt.output is not None:
                outputs[stage.identity] = attempt.output
            continue
        title = f"[{index + 1}/{len(stages)}] {stage.name}"
        if attempt.output is not None:
            log.note(f"{title}: done before, {attempt.output}")
            outputs[stage.identity] = attempt.output
            continue
        since = f", resuming after {attempt.resume_from.name}" if attempt.resume_from else ""
        log.note(f"{title}: {attempt.directory}{since}")
        run.begin_stage(index)
        result = stage.run(_context(run, index, stage, attempt, outputs, ranks))
        ranks.barrier()
        outputs[stage.identity] = attempt.directory / result.output
        if ranks.is_main:
            seconds = _finish(run, index, attempt.directory, result)
            log.note(f"{title}: done in {format_seconds(seconds)}, {outputs[stage.identity]}")
    return {stage.name: outputs[stage.identity] for stage in stages if stage.identity in outputs}


def named_stage(stages: Sequence[Stage[Any]], name: str) -> Stage[Any]:
    """The stage called `name`. UserError with the nearest name when there is none."""
    found = next((stage for stage in stages if stage.name == name), None)
    if found is None:
        names = [stage.name for stage in stages]
        near = nearest(name, names)
        known = f"stages: {', '.join(names)}"
        hint = f"did you mean {near}? {known}" if near else known
        raise UserError(f"there is no stage {name!r}", hint=hint)
    return found


def dependents(stages: Sequence[Stage[Any]], first: Stage[Any]) -> list[Stage[Any]]:
    """A stage and all that read from it, directly or not, in order."""
    found = {first.identity}
    for stage in stages:
        if any(given.identity in found for given in stage.inputs.values()):
            found.add(stage.identity)
    return [stage for stage in stages if stage.identity in found]


def forget(run: RunDir, stages: Sequence[Stage[Any]], name: str) -> list[str]:
    """Delete a stage and what depends on it from a run; the names of those that were there."""
    gone = {stage.identity for stage in dependents(stages, named_stage(stages, name))}
    deleted = []
    for stage, row in zip(stages, run.record["stages"], strict=True):
        if stage.identity in gone:
            if (run.path / row["dir"]).exists():
                deleted.append(stage.name)
            remove_folder(run.path / row["dir"])
            row.pop("seconds", None)
            row.pop("ended", None)
    if stages[-1].identity in gone:
        run.record.pop("headline", None)
    run.update(status="stopped")
    return deleted


def check_inputs(run: RunDir, stages: Sequence[Stage[Any]], name: str) -> None:
    """UserError when a stage reads from one that is not finished."""
    rows = {stage.identity: row for stage, row in zip(stages, run.record["stages"], strict=True)}
    missing = [
        given.name
        for given in named_stage(stages, name).inputs.values()
        if isinstance(given, Stage)
        and finished_output(run.path / rows[given.identity]["dir"]) is None
    ]
    if missing:
        hint = f"run it first: --only {missing[0]}, or everything with --resume"
        raise UserError(f"{name} reads from {', '.join(missing)}, not finished yet", hint=hint)


def _prepare(run: RunDir, index: int, stage: Stage[Any], only: str | None) -> Attempt:
    """Decide how to go about a stage and clear away what a killed attempt left half done."""
    directory = run.path / run.record["stages"][index]["dir"]
    output = finished_output(directory)
    if only is not None and stage.name != only:
        return Attempt(directory, output, None, is_skipped=True)
    if output is not None:
        return Attempt(directory, output, None)
    (directory / "DONE.json").unlink(missing_ok=True)
    newest = checkpoints(directory)[-1:]
    if newest:
        _cut_back(directory, checkpoint_step(newest[0]))
    else:
        remove_folder(directory)
        directory.mkdir(parents=True)
        run.record["stages"][index].pop("seconds", None)
    write_json(directory / "config.json", stage.config.table())
    write_json(directory / "inputs.json", {k: _describe(v) for k, v in stage.inputs.items()})
    return Attempt(directory, None, newest[0] if newest else None)


def _cut_back(directory: Path, step: int) -> None:
    """Drop the rows and samples of steps after the checkpoint: they are made again."""
    for name in ("metrics.jsonl", "timing.jsonl"):
        truncate_jsonl(directory / name, last_step=step)
    for file in (directory / "samples").glob("step-*.jsonl"):
        if int(file.stem.removeprefix("step-")) > step:
            file.unlink()


def _context(
    run: RunDir,
    index: int,
    stage: Stage[Any],
    attempt: Attempt,
    outputs: dict[str, Path],
    ranks: Ranks,
) -> StageContext[Any]:
    paths = {
        name: given.path if isinstance(given, Source) else outputs[given.identity]
        for name, given in stage.inputs.items()
    }
    return StageContext(
        directory=attempt.directory,
        config=stage.config,
        inputs=paths,
        ranks=ranks,
        resume_from=attempt.resume_from,
        log=Progress(enabled=ranks.is_main),
        on_checkpoint=lambda: _tick(run, index),
    )


def _tick(run: RunDir, index: int) -> None:
    run.tick(index)


def _finish(run: RunDir, index: int, directory: Path, result: StageResult) -> float:
    output = directory / result.output
    assert output.exists(), f"the stage left no {output}"
    if "ended" in result.summary:
        run.record["stages"][index]["ended"] = result.summary["ended"]
    seconds = run.tick(index)
    done = {"output": result.output, "seconds": seconds, "summary": dict(result.summary)}
    write_json(directory / "DONE.json", done)
    is_last = index == len(run.record["stages"]) - 1
    if is_last and result.summary:
        run.update(headline=dict(result.summary))
    return seconds


def _describe(given: Stage[Any] | Source) -> dict[str, str]:
    if isinstance(given, Source):
        return {"kind": "source", "value": given.value, "identity": given.identity}
    return {"kind": "stage", "value": given.name, "identity": given.identity}
