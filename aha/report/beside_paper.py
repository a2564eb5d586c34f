"""The paper's table beside a run of the same recipe: what its own models did, for orientation."""

from dataclasses import dataclass

from aha.evals.paper import LABEL, PaperTable, paper_table
from aha.report.reader import RunData

TABLE_OF_RECIPE = {"zero": "zero", "r1": "stages", "distill": "distillation-or-rl"}
SHOWN_SUITES = (
    *("aime-2024", "math-500", "gpqa-diamond", "livecodebench"),
    *("ifeval", "alpacaeval", "arena-hard", "mmlu"),
)
NOTES = {
    "r1": "The cold start makes responses readable at a cost in accuracy, reasoning RL wins it "
    "back, the last RL mainly lifts what people prefer.",
}


@dataclass(frozen=True, slots=True)
class Beside:
    """A part of a table of the paper, header first."""

    title: str
    note: str
    rows: list[list[str]]


def beside(run: RunData) -> Beside | None:
    """The paper's table of a recipe's kind; None where it has none."""
    name = TABLE_OF_RECIPE.get(run.recipe)
    if name is None:
        return None
    table = paper_table(name)
    title = f"for orientation: {LABEL} ({table.citation})"
    return Beside(title, NOTES.get(run.recipe, ""), _rows(table))


def _rows(table: PaperTable) -> list[list[str]]:
    shown = [row for row in table.rows if row.suite in SHOWN_SUITES]
    names = [row.benchmark for row in shown]
    columns = range(len(table.models))
    body = [
        [name if names.count(name) == 1 else row.label, *(row.shown(index) for index in columns)]
        for name, row in zip(names, shown, strict=True)
    ]
    return [["benchmark", *table.models], *body]
