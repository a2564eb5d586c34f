"""The paper's tables as data: their form, and values that one can look up."""

import json
from pathlib import Path

import pytest

import aha
from aha.evals.paper import NEAREST_FIRST, figures_of_suite, paper_table, paper_tables
from aha.evals.suites.suite import suite_names

ROOT = Path(__file__).parents[2]
UNITS = {"percent", "rating", "tokens", "points", "count", "hours", "dollars"}


def test_the_documented_file_is_the_one_that_the_package_reads():
    documented = ROOT / "docs" / "results" / "paper.json"
    shipped = Path(aha.__file__).parent / "assets" / "paper.json"
    assert documented.resolve() == shipped.resolve()


def test_every_table_has_its_form():
    raw = json.loads((ROOT / "docs" / "results" / "paper.json").read_text())
    assert (raw["format_version"], raw["kind"]) == (1, "paper")
    for table in raw["tables"]:
        assert set(table["source"]) == {"arxiv", "version", "where"}
        assert table["source"]["arxiv"] == "2501.12948" and table["source"]["version"] in (1, 2)
        assert set(table) - {"note", "protocol"} == {"name", "title", "source", "models", "rows"}
        for row in table["rows"]:
            assert set(row) == {"benchmark", "suite", "metric", "unit", "values"}
            assert len(row["values"]) == len(table["models"]), (table["name"], row)
            assert row["unit"] in UNITS
            known = [value for value in row["values"] if value is not None]
            assert known and (row["unit"] != "percent" or all(0 <= v <= 100 for v in known))


def test_names_are_unique():
    names = [table.name for table in paper_tables()]
    assert len(set(names)) == len(names)
    assert set(NEAREST_FIRST) < set(names)
    for table in paper_tables():
        assert len(set(table.models)) == len(table.models)
        assert len({row.label for row in table.rows}) == len(table.rows)


@pytest.mark.parametrize(
    ("table", "suite", "metric", "model", "value"),
    [
        ("stages", "aime-2024", "pass@1", "R1-Zero", 77.9),
        ("stages", "aime-2024", "pass@1", "R1-Dev1", 59.0),
        ("stages", "arena-hard", "GPT-4-1106", "R1", 92.3),
        ("stages", "codeforces", "rating", "R1", 2029),
        ("stages", "ifeval", "prompt strict", "R1-Dev3", 78.1),
        ("zero", "aime-2024", "pass@1", "DeepSeek-V3-Base", 15.6),
        ("zero-v1", "aime-2024", "pass@1", "R1-Zero", 71.0),
        ("others", "gpqa-diamond", "pass@1", "OpenAI-o1-1217", 75.7),
        ("distilled", "aime-2024", "cons@64", "Distill-Qwen-1.5B", 52.7),
        ("distilled", "codeforces", "rating", "Distill-Llama-70B", 1633),
        ("distillation-or-rl", "aime-2024", "pass@1", "Qwen2.5-32B-Zero", 47.0),
        ("small-zero", "aime-2025", "pass@1", "Qwen2-Math-7B-Zero", 18.1),
        ("test-time", "aime-2024", "pass@64", "R1", 90.0),
    ],
)
def test_values(table, suite, metric, model, value):
    found = paper_table(table)
    assert found.row(suite, metric).values[found.models.index(model)] == value


def test_the_same_figure_in_two_tables_is_the_same():
    stages, others = paper_table("stages"), paper_table("others")
    for row in others.rows:
        ours = stages.row(row.suite, row.metric)
        assert row.values[-1] == ours.values[-1], row.label
    both, distilled = paper_table("distillation-or-rl"), paper_table("distilled")
    for row in both.rows:
        assert row.values[2] == distilled.row(row.suite, row.metric).values[3], row.label


def test_counts_add_up():
    samples = paper_table("sft-data").rows[0].values
    assert sum(samples[:-1]) == samples[-1]
    for row in paper_table("cost").rows:
        assert sum(row.values[:-1]) == row.values[-1]


def test_a_suite_finds_its_figures_once():
    found = {(f.model, f.metric): f for f in figures_of_suite("aime-2024")}
    assert len(found) == len(figures_of_suite("aime-2024"))
    assert found["R1-Zero", "pass@1"].text == "77.9"
    assert found["R1-Zero", "pass@1"].source == "v2 Table 3"
    assert found["Distill-Qwen-1.5B", "cons@64"].text == "52.7"
    assert figures_of_suite("no such suite") == []


def test_levels_of_a_suite_are_not_the_suite():
    metrics = [f.text for f in figures_of_suite("livecodebench") if f.model == "R1"]
    assert metrics == ["65.9"]


def test_suites_that_we_have_are_named_as_ours():
    named = {row.suite for table in paper_tables() for row in table.rows}
    wanted = {"aime-2024", "aime-2025", "math-500", "gpqa-diamond", "livecodebench", "ifeval"}
    assert wanted <= named & set(suite_names())
