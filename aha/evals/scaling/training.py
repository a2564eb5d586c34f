"""Accuracy against train steps, from the metrics of a run: the other half of o1's figure."""

from pathlib import Path
from typing import Any

from aha.errors import UserError
from aha.evals.plan import RUNS
from aha.pipeline.files import read_jsonl
from aha.pipeline.sources import is_file


def training_curve(model: str, suite: str) -> dict[str, Any] | None:
    """Steps, accuracies and standard errors of the run `model`; None where it is no run.

    The curve of the suite if it was measured in training, else the first that was. Of several
    stages the one with the most measurements.
    """
    folder = next((p for p in _folders(model) if is_file(p / "run.json")), None)
    if folder is None:
        return None
    curves = [
        curve for path in sorted(folder.glob("stages/*/metrics.jsonl")) for curve in _curves(path)
    ]
    wanted = f"eval/{suite}/pass@1"
    own = [curve for curve in curves if curve["metric"] == wanted]
    return max(own or curves, key=lambda curve: len(curve["points"]), default=None)


def _folders(model: str) -> tuple[Path, Path]:
    return Path(model).expanduser(), RUNS / model


def _curves(path: Path) -> list[dict[str, Any]]:
    """Every pass@1 of a stage that was measured at two steps or more."""
    try:
        rows = list(read_jsonl(path))
    except (OSError, ValueError) as broken:
        raise UserError(f"{path} cannot be read: {broken}", hint="is the run whole?") from None
    names = dict.fromkeys(
        key for row in rows for key in row if key.startswith("eval/") and key.endswith("/pass@1")
    )
    curves = []
    for name in names:
        points = [
            [row["step"], row[name], row.get(f"{name}_stderr", 0.0)] for row in rows if name in row
        ]
        if len(points) > 1:
            curves.append({"stage": path.parent.name, "metric": name, "points": points})
    return curves
