"""`aha show`: the JSON has the names that scripts read; the table has the same numbers."""

import json

import pytest
from rich.console import Console

from aha.report.formats import SPARKS, bucket_means, format_seconds, sparkline
from aha.report.outcomes import majority_of, outcomes
from aha.report.reader import read_run
from aha.report.summary import show_json, summary_table, summary_text
from tests.report.fake_run import FakeRun, write_base_run

HEADLINE = {
    "pass@1_before", "pass@1_before_stderr", "pass@1_after", "pass@1_after_stderr",
    "cons@16_after", "cons@16_after_stderr", "length_before_tokens", "length_after_tokens",
    "reflection_before", "reflection_after", "format_after", "language_consistency_after",
    "corrections_before", "corrections_after", "pass@1_without_reflection",
    "pass@1_without_reflection_stderr", "pass@1_without_reflection_n",
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    return read_run(FakeRun().write(tmp_path / "demo"))


def test_json_has_the_names_that_scripts_read(run):
    shown = json.loads(json.dumps(show_json(run)))
    assert list(shown) == ["recipe", "status", "seconds", "stages", "headline"]
    assert (shown["recipe"], shown["status"]) == ("zero", "done")
    assert shown["seconds"] == run.info["seconds"]
    assert [set(stage) for stage in shown["stages"]] == [
        {"name", "id", "status", "seconds", "output"}
    ] * 2
    assert set(shown["headline"]) >= HEADLINE
    assert shown["headline"]["pass@1_after"] == run.info["headline"]["pass@1_after"]


def test_the_headline_of_an_unfinished_run_comes_from_its_curve(tmp_path):
    run = read_run(FakeRun(status="stopped").write(tmp_path / "run"))
    headline = show_json(run)["headline"]
    first, last = run.stages[0].metrics[0], run.stages[0].metrics[-1]
    assert set(headline) == HEADLINE
    assert headline["pass@1_before"] == first["eval/arithmetic/pass@1"]
    assert headline["pass@1_after_stderr"] == last["eval/arithmetic/pass@1_stderr"]
    assert headline["length_after_tokens"] == last["eval/arithmetic/length_tokens"]
    assert headline["cons@16_after"] is None


def test_several_tasks_are_averaged_with_independent_errors(tmp_path):
    tasks = ("arithmetic", "countdown")
    run = read_run(FakeRun(status="stopped", tasks=tasks).write(tmp_path / "run"))
    last = run.stages[0].metrics[-1]
    values = [last[f"eval/{task}/pass@1"] for task in tasks]
    errors = [last[f"eval/{task}/pass@1_stderr"] for task in tasks]
    headline = show_json(run)["headline"]
    assert headline["pass@1_after"] == pytest.approx(sum(values) / 2)
    assert headline["pass@1_after_stderr"] == pytest.approx(
        (errors[0] ** 2 + errors[1] ** 2) ** 0.5 / 2
    )


def test_one_evaluation_is_not_both_before_and_after(tmp_path):
    folder = FakeRun(status="stopped").write(tmp_path / "run")
    file = next(folder.glob("stages/*/metrics.jsonl"))
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]))
    headline = show_json(read_run(folder))["headline"]
    assert headline["pass@1_before"] > 0
    assert headline["pass@1_after"] is None


def test_r1_runs_have_a_stage_table(tmp_path):
    table = {"r1": {"accuracy": {"value": 0.9, "stderr": 0.01, "n": 200}}}
    folder = FakeRun(extra={"recipe": "r1", "stage_table": table}).write(tmp_path / "run")
    run = read_run(folder)
    assert show_json(run)["stage_table"] == table
    row = next(x for x in summary_text(run).splitlines() if x.startswith("accuracy, %"))
    assert row.split() == ["accuracy,", "%", "90.0\u00b11.0"]


def test_the_table_shows_before_after_and_factor(run):
    headline = run.info["headline"]
    before, after = headline["pass@1_before"], headline["pass@1_after"]
    row = next(line for line in summary_text(run).splitlines() if line.startswith("pass@1"))
    assert f"{100 * before:.1f}%" in row
    assert f"{100 * after:.1f}% \u00b1{100 * headline['pass@1_after_stderr']:.1f}" in row
    assert f"\u00d7{after / before:.1f}" in row


def test_what_looking_back_is_worth_is_said_in_two_lines(run):
    said = show_json(run)["headline"]
    rates, lines = said["corrections_after"], summary_text(run).splitlines()
    assert rates["fix"] > rates["false_alarm"] and rates["n"] == 12
    assert (
        f"self-corrections a response: fixes a real error {rates['fix']:.2f}, "
        f"false alarm {rates['false_alarm']:.2f}, missed {rates['missed']:.2f}"
    ) in lines
    after, error = said["pass@1_after"], said["pass@1_after_stderr"]
    free = f"{100 * after:.1f}% \u00b1{100 * error:.1f}"
    assert f"reflection words forbidden: pass@1 {free} -> 71.0% \u00b13.0" in lines


@pytest.mark.parametrize(
    "odd", [None, 5, {}, {"n": 3}, {"n": "3", "fix": "x"}, {"fix": 1.0, "n": float("inf")}]
)
def test_a_headline_of_another_shape_says_nothing(tmp_path, odd):
    headline = {"pass@1_after": 0.5, "corrections_after": odd, "tasks": odd}
    run = read_run(FakeRun(num_steps=1, extra={"headline": headline}).write(tmp_path / "run"))
    assert "self-corrections" not in summary_text(run)
    assert "forbidden" not in summary_text(run)


def test_several_tasks_have_a_row_a_figure_each(tmp_path):
    tasks = ("arithmetic", "countdown")
    for status in ("done", "stopped"):
        folder = FakeRun(status=status, tasks=tasks, num_steps=4).write(tmp_path / status)
        run = read_run(folder)
        lines = summary_text(run).splitlines()
        first, last = run.stages[0].metrics[0], run.stages[0].metrics[-1]
        for task in tasks:
            row = next(x for x in lines if x.split()[:2] == [task, "pass@1"])
            ends = (f"{100 * metrics[f'eval/{task}/pass@1']:.1f}%" for metrics in (first, last))
            assert all(end in row for end in ends)
            assert any(x.startswith(f"{task}: self-corr") for x in lines) == (status == "done")


def test_a_vote_of_another_size_keeps_its_name(tmp_path):
    headline = {"pass@1_before": 0.1, "pass@1_after": 0.5, "cons@8_after": 0.75}
    run = read_run(FakeRun(extra={"headline": headline}).write(tmp_path / "run"))
    vote = majority_of(outcomes(run))
    assert (vote.spec.label, vote.after.value) == ("cons@8", 0.75)
    assert "75.0%" in next(x for x in summary_text(run).splitlines() if x.startswith("cons@8"))


def test_a_loss_curve_is_enough(tmp_path):
    text = summary_text(read_run(write_base_run(tmp_path / "base")))
    assert "loss/train" in text
    assert "\u2588" in text


def test_the_table_is_plain_on_an_ascii_terminal(run):
    with open("/dev/null", "w", encoding="ascii") as sink:
        console = Console(file=sink, width=90, color_system=None, legacy_windows=False)
        with console.capture() as captured:
            console.print(summary_table(run))
    curve = next(x for x in captured.get().splitlines() if x.startswith("reward/mean"))
    assert curve.isascii()
    assert "#" in curve
    assert "\x1b" not in captured.get()


def test_curves_take_the_room_there_is(run):
    for width, most in ((80, 24), (96, 32), (60, 8)):
        rows = [x for x in summary_text(run, width=width).splitlines() if "reward/mean" in x]
        sparks = rows[0].split()[-1]
        assert len(sparks) <= most and set(sparks) <= set(SPARKS)
        assert max(map(len, rows)) <= width and "\u2026" not in rows[0]


def test_a_sparkline_spans_low_to_high():
    assert sparkline([0.0, 0.5, 1.0], ascii_only=True) == "_+#"
    assert sparkline([3.0, 3.0]) == "\u2581\u2581"
    assert len(sparkline([float(i) for i in range(1000)])) == 32
    assert sparkline([]) == ""


def test_bucket_means_keep_the_mean():
    values = [float(i * i) for i in range(64)]
    means = bucket_means(values, 16)
    assert len(means) == 16
    assert sum(means) / 16 == pytest.approx(sum(values) / 64)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "\u2013"), (0.04, "0.0 s"), (9.96, "10 s"), (59.7, "1 min 00 s"), (125, "2 min 05 s"),
     (3600, "1 h 00 min"), (86399 * 2, "2 d 0 h"), (250_000, "2 d 21 h")],
)  # fmt: skip
def test_durations(seconds, text):
    assert format_seconds(seconds) == text
