"""Evaluations as tables and pages: the numbers of the files; nothing that a model wrote acts."""

import dataclasses
import json
import re
import shutil

import pytest
from rich.console import Console

from aha.evals.compare import compare
from aha.evals.leaderboard import Leaderboard, entry_of
from aha.report.evaluations import (
    comparison_json,
    comparison_view,
    figure_rows,
    leaderboard_rows,
    leaderboard_view,
    names_of,
    paper_rows,
    result_json,
    result_view,
    unit_of,
)
from aha.report.evaluations_page import (
    write_comparison_page,
    write_leaderboard_page,
    write_result_page,
)
from aha.report.page import page_bytes
from aha.report.reader import read_run
from aha.report.summary import summary_text
from tests.evals.fake_results import problem, result, sample
from tests.report.fake_r1 import FakePipeline
from tests.report.fake_run import FakeRun
from tests.report.test_page import HOSTILE, read_page

A = result(["1111", "1100", "10u0", "0-00"], name="small-a")
B = result(["1100", "1100", "1000", "1000"], name="small-b")


def text_of(view, width=96):
    console = Console(width=width, color_system=None, force_terminal=False, highlight=False)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_the_table_has_the_figures_of_the_file():
    rows = {row[0]: row[1:] for row in figure_rows(A)}
    main = A.main
    assert rows["pass@1"] == [f"{100 * main.value:.1f}% \u00b1{100 * main.stderr:.1f}", "4"]
    assert rows["length_tokens"][0] == "40.0 \u00b10.0"
    assert rows["pass@4"][1] == "3"  # one problem has but three verdicts
    assert list(rows)[1] == "pass@1"


def test_the_main_figure_comes_first():
    other = dataclasses.replace(A, metric="cons@4")
    assert figure_rows(other)[1][0] == "cons@4"


def test_a_terminal_of_any_width_shows_it_all():
    for width in (40, 80, 120):
        shown = text_of(result_view(A), width)
        assert "small-a on gsm8k" in shown and "mg-pass@4" in shown
        assert all(len(line) <= width for line in shown.splitlines())


def test_the_comparison_says_who_won_how_often():
    found = compare(A, B)
    shown = text_of(comparison_view(A, B, found))
    main = found.main.difference
    assert f"+{100 * main.value:.1f} \u00b1{100 * main.stderr:.1f}" in shown
    assert "small-a better on 2, small-b on 1, equal on 1" in shown
    assert f"{main.p_value:.3f}" in shown
    assert "WARNING" not in shown


def test_a_forced_comparison_warns():
    hot = dataclasses.replace(B, settings={**B.settings, "temperature": 1.0})
    shown = text_of(comparison_view(A, hot, compare(A, hot, force=True)))
    assert "WARNING: not taken in the same way: temperature (0.6 against 1.0)" in shown


def test_models_of_one_name_are_told_apart():
    again = dataclasses.replace(A, settings={**A.settings, "seed": 3})
    assert names_of(A, again) == ("small-a, seed 0", "small-a, seed 3")
    assert names_of(A, A) == ("A: small-a", "B: small-a")


def test_units():
    assert unit_of("pass@1", [0.5]) == unit_of("refusal", [0.0, 1.0]) == "fraction"
    assert unit_of("rating", [8.25]) == "words"
    assert unit_of("length_tokens", [0.5]) == "tokens"


def test_figures_that_are_no_shares_are_not_shown_as_such():
    problems = (problem(0, "", samples=(sample("1", figures={"rating": 8.25}),)),)
    rows = figure_rows(result(None, problems=problems, metric="rating"))
    assert rows[1][:2] == ["rating", "8.25 \u00b10.00"]


def test_json_has_the_numbers():
    found = compare(A, B)
    shown = comparison_json(A, B, found)
    assert shown["figures"]["pass@1"]["difference"] == found.main.difference.value
    assert shown["figures"]["pass@1"]["p_value"] == found.main.difference.p_value
    assert (shown["wins"], shown["losses"], shown["ties"]) == (2, 1, 1)
    one = result_json(A)
    assert one["metrics"]["pass@1"]["value"] == A.main.value and "problems" not in one


def test_the_paper_stands_beside_a_suite_that_it_has():
    rows = paper_rows("aime-2024")
    assert rows[0][:3] == ["model", "pass@1", "cons@64"]
    assert next(row for row in rows if row[0] == "Distill-Qwen-1.5B")[1:3] == ["28.9", "52.7"]
    assert len(paper_rows("aime-2024", most=3)) == 4
    assert paper_rows("gsm8k") == []
    shown = text_of(result_view(dataclasses.replace(A, suite="aime-2024")))
    assert "the paper's figures, of other models" in shown and "28.9" in shown


def test_the_leaderboard_marks_what_is_unlike():
    hot = dataclasses.replace(B, settings={**B.settings, "temperature": 1.0})
    third = dataclasses.replace(A, model={**A.model, "name": "small-c"})
    board = Leaderboard(entries=tuple(map(entry_of, (A, third, hot))))
    rows = {row[0]: row[1] for row in leaderboard_rows(board)}
    assert rows["small-a"].startswith("#1 ") and rows["small-c"].startswith("#1 ")
    assert rows["small-b"].endswith(" *") and "#" not in rows["small-b"]
    assert "small-b on gsm8k differs in temperature" in " ".join(
        text_of(leaderboard_view(board)).split()
    )


def test_a_run_is_printed_beside_the_paper_s_table(tmp_path):
    shown = " ".join(summary_text(read_run(FakeRun().write(tmp_path / "zero"))).split())
    assert "the paper's figures, of other models (arXiv 2501.12948v2, Figure 1)" in shown
    assert "AIME 2024, pass@1 15.6 77.9" in shown
    shown = " ".join(summary_text(read_run(FakePipeline().write(tmp_path / "r1"))).split())
    assert "benchmark R1-Zero R1-Dev1 R1-Dev2 R1-Dev3 R1" in shown
    assert "AIME 2024 77.9 59.0 74.0 78.1 79.8" in shown


def test_a_run_s_page_has_the_paper_s_table(tmp_path):
    for name, run, value in (("zero", FakeRun(), "15.6"), ("r1", FakePipeline(), "74.0")):
        page = page_bytes(read_run(run.write(tmp_path / name))).decode()
        beside = page.partition('<details class="beside">')[2].partition("</details>")[0]
        assert f"<td>{value}</td>" in beside and "arXiv 2501.12948v2" in beside


def test_a_run_without_figures_has_none_of_the_paper_s(tmp_path):
    folder = FakeRun(status="running").write(tmp_path / "zero")
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**info, "headline": None, "stages": []}))
    shutil.rmtree(folder / "stages")
    assert "the paper" not in summary_text(read_run(folder))


@pytest.fixture(scope="module")
def hostile():
    wrong = dataclasses.replace(sample("0", text=HOSTILE), extracted=HOSTILE, reason=HOSTILE)
    problems = (
        problem(
            0, "", question=HOSTILE, gold=HOSTILE, prompt=HOSTILE, samples=(wrong, sample("1"))
        ),
        problem(1, "", samples=(sample("u"), sample("-"))),
    )
    one = result(None, problems=problems, name=HOSTILE)
    return dataclasses.replace(one, settings={**one.settings, "instruction": HOSTILE})


def pages(hostile, folder):
    found = compare(hostile, hostile)
    yield write_result_page(folder / "one.html", hostile)
    yield write_comparison_page(folder / "two.html", hostile, hostile, found)
    yield write_leaderboard_page(folder / "board.html", Leaderboard(entries=(entry_of(hostile),)))


def test_nothing_that_a_model_wrote_acts(hostile, tmp_path):
    for path in pages(hostile, tmp_path):
        page = path.read_bytes()
        elements, _ = read_page(page)
        assert [tag for tag, _ in elements.found].count("script") == 2
        tags = {tag for tag, _ in elements.found}
        assert not tags & {"img", "link", "iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") for _, attrs in elements.found for name in attrs)
        assert "\u202e" not in page.decode()


def test_pages_load_nothing(hostile, tmp_path):
    plain = dataclasses.replace(A, suite="aime-2024")
    for path in pages(plain, tmp_path):
        assert not re.search(rb"https?:|@import|url\(|fetch\(|import\(", path.read_bytes())
        assert b"default-src 'none'" in path.read_bytes()


def test_the_page_has_every_verdict_and_the_texts(hostile, tmp_path):
    _, data = read_page(write_result_page(tmp_path / "a.html", hostile).read_bytes())
    assert [row["marks"] for row in data["problems"]] == [["01"], ["u0"]]
    first, second = data["groups"]["0"]["samples"][0]
    shown = "".join(text for _, text in first["pieces"])
    assert "<script>alert(1)</script>" in shown and first["verdict"] == "wrong"
    assert {classes for classes, _ in second["pieces"]} >= {"k", "s"}
    assert data["note"] == ""


def test_two_models_stand_side_by_side_by_problem(tmp_path):
    fewer = dataclasses.replace(B, problems=B.problems[1:3])
    path = write_comparison_page(tmp_path / "ab.html", A, fewer, compare(A, fewer))
    _, data = read_page(path.read_bytes())
    assert data["models"] == ["small-a", "small-b"]
    assert data["problems"][1]["marks"] == ["1100", "1100"]
    assert data["problems"][0]["marks"] == ["1111", ""]
    assert [len(side) for side in data["groups"]["1"]["samples"]] == [4, 4]
    assert [len(side) for side in data["groups"]["0"]["samples"]] == [4, 0]


def test_a_page_keeps_to_its_size_and_shows_what_tells_most(tmp_path):
    text = "<think>" + "word " * 1_000 + "</think>42"
    problems = tuple(
        problem(i, "", samples=tuple(sample(mark, text=text) for mark in marks))
        for i, marks in enumerate(["1111"] * 40 + ["1010"] * 4 + ["0000"] * 40)
    )
    path = write_result_page(
        tmp_path / "a.html", result(None, problems=problems), max_bytes=200_000
    )
    assert path.stat().st_size <= 201_000
    _, data = read_page(path.read_bytes())
    assert len(data["problems"]) == 84 and 4 < len(data["groups"]) < 84
    assert {"40", "41"} <= set(data["groups"])  # right and wrong: the most telling
    assert f"{len(data['groups'])} of 84" in data["note"]


def test_fewer_responses_of_each_problem_where_they_are_long(tmp_path):
    long = sample("1", text="<think>" + "word " * 1_000 + "</think>42")
    problems = tuple(problem(i, "", samples=(long,) * 16) for i in range(10))
    path = write_result_page(
        tmp_path / "a.html", result(None, problems=problems), max_bytes=500_000
    )
    _, data = read_page(path.read_bytes())
    assert path.stat().st_size <= 500_000
    assert [len(g["samples"][0]) for g in data["groups"].values()] == [2] * 10
    assert "10 of 10 problems" in data["note"] and "at most 2 of each" in data["note"]


def test_no_more_than_sixteen_responses_of_a_problem_are_embedded(tmp_path):
    many = result(["10" * 20])
    _, data = read_page(write_result_page(tmp_path / "a.html", many).read_bytes())
    assert len(data["groups"]["0"]["samples"][0]) == 16
    assert data["problems"][0]["marks"] == ["10" * 20]
    assert "16 of each" in data["note"]
