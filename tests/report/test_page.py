"""The page is one inert file of bounded size, and its data are the run's numbers."""

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser

import pytest

from aha.report.corrections import correction_lines
from aha.report.figures import MAX_POINTS, figure_groups
from aha.report.judgement import judgement_rows
from aha.report.page import page_bytes, write_html
from aha.report.reader import StageData, read_run
from aha.report.samples import _ends_inwards, _shorten
from aha.report.survey import spread_evenly, survey_samples
from tests.report.fake_run import FakeRun, write_base_run

HOSTILE = (
    "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> &amp; \x00 \u2028 \ud800"
    " \u202eevil \U0001f600 \u05e9\u05dc\u05d5\u05dd ${css} $css ]]> \\u003c"
)


class Elements(HTMLParser):
    """All start tags with their attributes, and the texts of scripts."""

    def __init__(self, page):
        super().__init__()
        self.found, self.scripts, self._in_script = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts.append(data)


def read_page(page):
    """(elements, data) of a page."""
    elements = Elements(page.decode())
    return elements, json.loads(elements.scripts[0])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_run(FakeRun().write(tmp_path_factory.mktemp("runs") / "demo"))


@pytest.fixture(scope="module")
def page(run):
    return page_bytes(run)


def all_figures(data, stage=0):
    return {f["id"]: f for group in data["stages"][stage]["groups"] for f in group["figures"]}


def test_the_page_refers_to_nothing_outside(page):
    elements, _ = read_page(page)
    loading = {"src", "srcset", "data", "poster", "action", "formaction", "background"}
    for tag, attributes in elements.found:
        assert not loading & set(attributes), (tag, attributes)
        assert tag not in ("link", "iframe", "object", "embed", "base", "img")
        assert attributes.get("href", "#").startswith("#")
    text = page.decode()
    assert not re.search(
        r"https?:|//\w+\.\w|@import|url\(|fetch\(|XMLHttp|WebSocket|import\(", text
    )


def test_only_the_page_s_own_script_may_run(page):
    elements, _ = read_page(page)
    assert len(elements.scripts) == 2
    digest = base64.b64encode(hashlib.sha256(elements.scripts[1].encode()).digest()).decode()
    policy = next(a["content"] for t, a in elements.found if "Content-Security" in str(a))
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}'" in policy
    assert not any(name.startswith("on") for _, attributes in elements.found for name in attributes)


def test_the_figures_hold_the_numbers_of_the_run(run, page):
    figures = all_figures(read_page(page)[1])
    rows = run.stages[0].metrics
    measured, training = figures["accuracy"]["series"]
    assert measured["points"] == [
        [row["step"], row["eval/arithmetic/pass@1"], row["eval/arithmetic/pass@1_stderr"]]
        for row in rows
        if "eval/arithmetic/pass@1" in row
    ]
    assert training["points"] == [[r["step"], r["rollout/accuracy"]] for r in rows[1:]]
    (level,) = figures["accuracy"]["levels"]
    assert (level["name"], level["value"]) == ("cons@16 after training", 0.995)
    assert figures["kl"]["series"][0]["points"] == [[r["step"], r["kl"]] for r in rows[1:]]
    lines = {series["name"] for series in figures["time"]["series"]}
    assert lines == {f"time/{p}_seconds" for p in ("rollout", "score", "train", "step")}


def test_every_metric_is_drawn_once(run):
    groups = figure_groups(run.stages[0])
    drawn = [len(series.points) for group in groups for f in group.figures for series in f.series]
    logged = {key for row in run.stages[0].metrics for key in row}
    counted = {key for key in logged if not key.endswith(("_stderr", "_n", "step"))}
    hidden = {"reward/format", "reward/accuracy"} - counted
    timed = {key for row in run.stages[0].timing for key in row} - {"step"}
    assert len(drawn) == len(counted - hidden) + len(timed)


def test_several_tasks_are_several_lines(tmp_path):
    folder = FakeRun(tasks=("arithmetic", "countdown"), num_steps=4).write(tmp_path / "run")
    series = all_figures(read_page(page_bytes(read_run(folder)))[1])["accuracy"]["series"]
    assert [line["name"] for line in series] == ["arithmetic", "countdown", "training samples"]
    assert len({line["color"] for line in series}) == 3


def test_a_base_run_shows_its_loss(tmp_path):
    data = read_page(page_bytes(read_run(write_base_run(tmp_path / "base"))))[1]
    loss = all_figures(data)["loss"]
    assert [line["name"] for line in loss["series"]] == ["loss/train", "loss/validation"]
    assert not data["groups"]


def test_unknown_metrics_are_drawn_too(tmp_path):
    folder = FakeRun(num_steps=2, extra={"recipe": "novel"}).write(tmp_path / "run")
    file = next(folder.glob("stages/*/metrics.jsonl"))
    file.write_text('{"step": 1, "shoe/size": 43}\n{"step": 2, "shoe/size": 44}\n')
    figures = all_figures(read_page(page_bytes(read_run(folder)))[1])
    drawn = next(figure for figure in figures.values() if figure["title"] == "shoe/size")
    assert drawn["series"][0]["points"] == [[1.0, 43.0], [2.0, 44.0]]


def test_long_curves_are_thinned_to_means(tmp_path):
    rows = [{"step": step, "reward/mean": float(step)} for step in range(1, 10_001)]
    stage = StageData(name="zero", id="x", path=tmp_path, status="done", metrics=rows)
    (figure,) = (f for group in figure_groups(stage) for f in group.figures if f.id == "reward")
    points = figure.series[0].points
    assert len(points) == MAX_POINTS
    assert points[0] == [25.0, 13.0]
    assert points[-1] == [10_000.0, 9988.0]


def test_samples_carry_their_judgement(run, page):
    data = read_page(page)[1]
    group = next(g for g in data["groups"] if g["step"] == 7)
    rows = [r for r in run.stages[0].samples(7) if r["problem_id"] == group["id"]]
    assert len(group["samples"]) == len(rows) == 8
    for shown, row in zip(group["samples"], rows, strict=True):
        assert "".join(text for _, text in shown["pieces"]) == row["text"]
        assert shown["reward"] == pytest.approx(row["reward"], abs=1e-4)
        assert shown["advantage"] == pytest.approx(row["advantage"], abs=1e-4)
        assert (shown["verdict"], shown["reason"]) == (row["verdict"], row["reason"])
        assert shown["extracted"] == (row["extracted"] or "")
        assert shown["rewards"] == row["rewards"]


def test_evaluations_are_kept_apart_and_show_no_reward(page):
    groups = [g for g in read_page(page)[1]["groups"] if g["when"]]
    assert {g["when"] for g in groups} == {"before", "after"}
    assert len(groups) == 12
    assert all(s["reward"] is None for g in groups for s in g["samples"])


def test_the_first_moments_are_real_repairs(run, page):
    fixes = read_page(page)[1]["moments"]["fixes"]
    assert 1 <= len(fixes) <= 4
    assert len({moment["problem"] for moment in fixes}) == len(fixes)
    steps = [moment["step"] for moment in fixes if not moment["when"]]
    assert steps == sorted(steps)
    for moment in fixes:
        assert moment["verdict"] == "correct"
        assert moment["wrong"] != moment["right"]
        text = "".join(text for _, text in moment["sample"]["pieces"])
        assert f"= {moment['wrong']}" in text


def test_hostile_samples_stay_text(tmp_path):
    folder = FakeRun(num_steps=2).write(tmp_path / "run")
    file = next(folder.glob("stages/*/samples/step-000001.jsonl"))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    fields = ("text", "question", "gold", "prompt", "reason", "extracted", "problem_id", "task",
              "language", "verdict", "finish_reason")  # fmt: skip
    for row in rows[:8]:
        row |= dict.fromkeys(fields, HOSTILE) | {"rewards": {HOSTILE: 1.0}}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    info = json.loads((folder / "run.json").read_text())
    info |= {"name": HOSTILE, "config": {HOSTILE: HOSTILE}, "error": HOSTILE, "started": HOSTILE}
    (folder / "run.json").write_text(json.dumps(info))
    elements, data = read_page(page_bytes(read_run(folder)))
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert not any(tag == "img" for tag, _ in elements.found)
    shown = "".join(text for _, text in data["groups"][0]["samples"][0]["pieces"])
    assert "</script><script>alert(1)</script>" in shown
    assert "\u2400" in shown
    assert "\u202e" not in shown
    assert "\U0001f600 \u05e9\u05dc\u05d5\u05dd ${css} $css" in shown


@pytest.mark.parametrize("max_bytes", [110_000, 300_000])
def test_the_page_keeps_to_its_size(run, max_bytes):
    page = page_bytes(run, max_bytes=max_bytes)
    data = read_page(page)[1]
    total = len(survey_samples(run).groups)
    assert 0.5 * max_bytes < len(page) <= max_bytes + 300
    assert 0 < len(data["groups"]) < total
    assert f"{len(data['groups'])} of {total} groups" in data["samplesNote"]


def test_a_small_page_still_follows_problems_over_steps(run):
    groups = read_page(page_bytes(run, max_bytes=110_000))[1]["groups"]
    steps = {}
    for group in groups:
        steps.setdefault(group["id"], []).append((group["stage"], group["step"], group["when"]))
    assert max(map(len, steps.values())) >= 4


def test_a_page_without_room_has_no_samples(run):
    assert read_page(page_bytes(run, max_bytes=1000))[1]["groups"] == []


def test_long_texts_lose_their_middle():
    pieces = [["k", "a" * 600], ["k r", "b" * 10], ["a", "c" * 600]]
    short = _shorten(pieces, 400)
    assert "".join(text for mark, text in short if mark != "cut") == "a" * 250 + "c" * 150
    assert [text for mark, text in short if mark == "cut"] == [" ... 810 characters left out ... "]
    assert _shorten(pieces, 1210) == pieces


def test_steps_are_chosen_from_the_ends_inwards():
    assert _ends_inwards(list(range(9)))[:5] == [0, 8, 4, 2, 6]
    for count in range(30):
        assert sorted(_ends_inwards(list(range(count)))) == list(range(count))
    assert spread_evenly(list(range(10)), 4) == [0, 3, 6, 9]


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_a_killed_run_has_a_page(tmp_path, keep):
    folder = FakeRun(status="running").write(tmp_path / "run")
    for file in folder.glob("stages/*/*.jsonl"):
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:keep]) + '{"step": 9')
    for file in folder.glob("stages/*/samples/*"):
        file.write_text(file.read_text()[: 3000 * keep])
    (folder / "stages" / "01-zero-1a2b3c4d" / "config.json").unlink()
    run = read_run(folder)
    path = write_html(run, tmp_path / "report.html")
    assert len(read_page(path.read_bytes())[1]["stages"]) == (keep > 0)


def test_rows_with_foreign_values_have_a_page(tmp_path):
    folder = FakeRun(num_steps=1).write(tmp_path / "run")
    file = next(folder.glob("stages/01-*/samples/step-000001.jsonl"))
    odd = [
        {},
        {"text": None, "rewards": [1], "reward": "much", "advantage": True, "verdict": None},
        {"text": 5, "problem_id": 7, "sample": "x", "rewards": {"a": float("nan")}, "language": 3},
        {"text": "1 + 1 = 3. wait, 3 is wrong, so 2", "verdict": "correct", "step": "one"},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in odd))
    data = read_page(page_bytes(read_run(folder)))[1]
    shown = [s for g in data["groups"] if not g["when"] for s in g["samples"]]
    assert len(shown) == 4
    assert data["moments"]["fixes"][0]["wrong"] == "3"


def test_the_page_says_what_looking_back_is_worth(run, page):
    text = page.decode()
    for line in correction_lines(run):
        assert html.escape(line) in text
    assert len(correction_lines(run)) == 2


def test_held_out_corrections_are_those_of_the_whole_evaluation(tmp_path):
    counts = {"fix": 0.5, "unrepaired": 0, "missed": 0.25, "false_alarm": 0.125, "confirmed": 1}
    rates = {**counts, "rejected_guess": 0, "misjudged_guess": 0, "n": 2000}
    headline = {"pass@1_after": 0.5, "corrections_after": rates}
    run = read_run(FakeRun(num_steps=2, extra={"headline": headline}).write(tmp_path / "run"))
    rows = judgement_rows(run, survey_samples(run))
    assert [row[-1] for row in rows] == [
        "held-out, after", "67% of 1,500", "11% of 2,250", "0.500", "0.125", "2,000",
    ]  # fmt: skip


def test_several_tasks_are_a_table(tmp_path):
    folder = FakeRun(tasks=("arithmetic", "countdown"), num_steps=4).write(tmp_path / "run")
    run = read_run(folder)
    text = page_bytes(run).decode()
    for task, row in run.info["headline"]["tasks"].items():
        ends = f"{100 * row['pass@1_before']:.1f}% -&gt; {100 * row['pass@1_after']:.1f}%"
        assert f"<tr><td>{task}</td><td>{ends}</td>" in text


def test_the_models_of_an_r1_run_are_a_table(tmp_path):
    table = {"base": {"accuracy": {"value": 0.125, "stderr": 0.02, "n": 9}}, "r1": {}}
    folder = FakeRun(num_steps=1, extra={"recipe": "r1", "stage_table": table}).write(
        tmp_path / "r"
    )
    text = page_bytes(read_run(folder)).decode()
    assert '12.5% <span class="unit">\u00b12.0</span>' in text
