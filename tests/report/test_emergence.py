"""The section on emergence: its numbers are those of the analysis of the same samples."""

import json

import pytest

from aha.cli.main import invoke
from aha.evals.emergence import observe_all, summarise
from aha.report.emergence import (
    emergence_figures,
    emergence_lines,
    emergence_section,
    emergence_summary,
    terminal_tables,
)
from aha.report.reader import read_run
from aha.report.survey import survey_samples
from tests.report.fake_run import FakeRun, write_base_run

DIFFERENCE = {"value": -0.052, "stderr": 0.007, "p_value": 0.0004, "n": 9}
SHIFT = {"value": -51.4, "stderr": 0.6, "p_value": 0.0, "n": 9}
ESTIMATE = {"value": 0.91, "stderr": 0.01, "n": 9}
ARM = dict.fromkeys(("pass@1", "length_tokens", "reflection", "truncated"), ESTIMATE)
COMPARED = {"pass@1": DIFFERENCE, "length_tokens": SHIFT, "responses": 36, "changed": 0.5}
MEASURED = {
    "suite": "arithmetic",
    "arms": {"free": ARM, "forbidden": ARM, "resumed": None, "forced": None},
    "differences": {"forbidden - free": COMPARED, "forced - free": None},
    "forced": {"wrong_made_right": {"forced": None, "resumed": None}, "right_kept": None},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return FakeRun(num_steps=9).write(tmp_path_factory.mktemp("runs") / "fake")


def step_rows(run, step):
    (file,) = run.glob(f"stages/01-*/samples/step-{step:06d}.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_summary_is_the_analysis_of_the_ends(run):
    found = emergence_summary(survey_samples(read_run(run)))
    last = [observe_all(step_rows(run, step)) for step in (7, 8, 9)]
    assert found["steps 7-9"] == summarise(last)
    every = [observe_all(step_rows(run, step)) for step in range(1, 10)]
    assert found["all steps"] == summarise(every)
    assert found["all steps"]["responses"] == 9 * 4 * 8


def test_curves_have_a_point_a_step_with_its_error(run):
    figures = {figure["id"]: figure for figure in emergence_figures(survey_samples(read_run(run)))}
    assert set(figures) == {"behaviours", "given-reflection", "length-by-difficulty", "first-right"}
    series = {line["name"]: line["points"] for line in figures["behaviours"]["series"]}
    table = summarise([observe_all(step_rows(run, 4))])["shows"]["verification"]
    assert series["verification"][3] == [4.0, table["value"], table["stderr"]]
    assert len(series["verification"]) == 9


def test_the_section_stands_on_the_page_and_only_where_there_are_samples(run, tmp_path):
    data = read_run(run)
    section = emergence_section(data, survey_samples(data))
    assert section.startswith('<section id="emergence"') and "backtracking" in section
    base = read_run(write_base_run(tmp_path / "base"))
    assert emergence_section(base, survey_samples(base)) == ""


def test_what_was_measured_is_shown_in_the_table_the_page_and_the_lines(tmp_path):
    path = FakeRun(num_steps=3).write(tmp_path / "fake")
    (path / "emergence.json").write_text(json.dumps(MEASURED))
    data = read_run(path)
    assert emergence_lines(data) == [
        "reflection, forbidden - free: pass@1 -5.2 points ±0.7 (p <0.001)"
    ]
    assert "-51.4 ±0.6" in emergence_section(data, survey_samples(data))
    titles = [str(table.title) for table in terminal_tables(MEASURED)]
    assert titles[0].strip() == "Reflection forbidden and forced, arithmetic"


@pytest.mark.parametrize("broken", ["{", "[]", '{"arms": 3, "differences": 4, "forced": 5}'])
def test_a_broken_measurement_breaks_no_page(tmp_path, broken):
    path = FakeRun(num_steps=2).write(tmp_path / "fake")
    (path / "emergence.json").write_text(broken)
    data = read_run(path)
    assert emergence_lines(data) == []
    assert "What responses show" in emergence_section(data, survey_samples(data))


def test_the_command_prints_and_writes_the_analysis_of_a_run(run, tmp_path, capsys):
    out = tmp_path / "found.json"
    assert invoke(["emergence", str(run), "--json", "--out", str(out)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(out.read_text()) and printed["kind"] == "emergence"
    assert printed["samples"]["all steps"]["responses"] == 9 * 4 * 8
    assert invoke(["emergence", str(run)]) == 0
    assert "The first right answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "neither a run nor a result"),
        (["embedded", "--causal"], "add --suite"),
        (["embedded", "--causal", "--suite", "logic"], "add --out"),
        (["embedded", "--causal", "--suite", "logik", "--out", "x.json"], "unknown suite"),
        (
            ["embedded", "--causal", "--suite", "logic", "--problems", "0", "--out", "x.json"],
            "problems",
        ),
    ],
)
def test_mistakes_are_one_line(in_tmp_path, capsys, arguments, message):
    assert invoke(["emergence", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("error: ") and "Traceback" not in said


def test_the_command_measures_a_model_and_the_same_again(in_tmp_path, capsys):
    command = ["emergence", "embedded", "--causal", "--suite", "arithmetic", "--problems", "3"]
    command += ["--samples", "2", "--temperature", "1", "--max-new-tokens", "96"]
    for name in ("a.json", "b.json"):
        assert invoke([*command, "--out", name]) == 0
    assert "Reflection forbidden and forced" in capsys.readouterr().out
    files = sorted(path.name for path in in_tmp_path.iterdir())
    assert files == ["a.json", "b.json"]  # nothing is left of their making
    first, second = (in_tmp_path / name for name in files)
    assert first.read_bytes() == second.read_bytes()
    assert json.loads(first.read_text())["arms"]["free"]["pass@1"]["n"] == 3
