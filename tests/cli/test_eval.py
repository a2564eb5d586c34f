"""`aha eval`: what a person types and reads."""

import json

import pytest

from aha.cli.eval import table_lines
from aha.cli.main import invoke
from aha.evals.metrics import Estimate
from tests.evals.evaluations import letters_file, problem, result, sampled, tiny_eval


@pytest.fixture
def run(capsys):
    """Run a command line in this process: (status, stdout, stderr)."""

    def run(*arguments):
        status = invoke(["eval", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def asked(folder, *more):
    """Arguments of an evaluation of the tiny model; what is given twice counts as given last."""
    config = tiny_eval(folder)
    sampling = ("--temperature", 1, "--top-p", 1, "--samples", 2, "--max-new-tokens", 6)
    ranks = ("--ranks", 1, "--template", "none")
    return config.model, "--suite", config.suite, *sampling, *ranks, *more


def test_an_evaluation_prints_its_figures_and_says_how_far_it_is(in_tmp_path, run):
    status, out, err = run(*asked(in_tmp_path))
    assert status == 0
    assert "letters, model: 6 problems x 2 samples, temperature 1, top-p 1, at most 6" in out
    table = json.loads((in_tmp_path / "evals" / "letters-model.json").read_text())
    value, error = (table["metrics"]["pass@1"][key] for key in ("value", "stderr"))
    assert f"{value:.1%} +- {error:.1%}" in " ".join(out.split())
    assert "12/12" in err
    again, repeated, note = run(*asked(in_tmp_path))
    assert (again, repeated) == (0, out)
    assert "is finished" in note


def test_a_regrade_says_what_has_changed(in_tmp_path, run):
    run(*asked(in_tmp_path, "--out", "r.json"))
    before = (in_tmp_path / "r.json").read_bytes()
    status, _, err = run("--regrade", "r.json")
    assert (status, err.strip()) == (0, "no verdict has changed")
    assert (in_tmp_path / "r.json").read_bytes() == before
    letters_file(in_tmp_path, right="abcdefgh0123456789?")
    status, out, err = run("--regrade", "r.json", "--out", "new.json")
    assert status == 0
    assert "pass@1" in out
    assert "wrong -> correct" in err
    assert (in_tmp_path / "r.json").read_bytes() == before
    assert json.loads((in_tmp_path / "new.json").read_text())["metrics"]["pass@1"]["value"] > 0


def test_all_suites_are_listed(run):
    status, out, _ = run("--list")
    names = [line.split()[0] for line in out.splitlines()]
    assert status == 0
    assert {"gsm8k", "math-500", "ifeval"} <= set(names)
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("model",), "give a model and --suite", "aha eval --list"),
        (("embedded", "--suite", "gsm8j"), "unknown suite 'gsm8j'", "did you mean 'gsm8k'?"),
        (("embedded", "--suite", "gsm8k", "--data", "no.jsonl"), "no data file", "--data"),
        (("embedded", "--suite", "arithmetic", "--samples", "0"), "samples", ""),
        (("embedded", "--suite", "arithmetic", "--engine", "llama"), "engine", ""),
        (("embedded", "--suite", "arithmetic", "--top-p", "2"), "top_p", ""),
        (("m", "--regrade", "r.json"), "--regrade needs no model", ""),
        (("--regrade", "r.json"), "r.json cannot be read", ""),
        (("endpoint:nowhere", "--suite", "arithmetic"), "no address of a server", ""),
        (("embedded", "--suite", "arithmetic", "--smaples", "1"), "smaples", "--samples"),
    ],
)
def test_mistakes_are_two_lines(in_tmp_path, run, arguments, message, hint):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert hint in err
    assert "Traceback" not in err
    assert list(in_tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(in_tmp_path, run):
    (in_tmp_path / "file").write_text("")
    status, _, err = run(*asked(in_tmp_path, "--out", "file/r.json"))
    assert status == 2
    assert "cannot be written" in err


def test_a_file_that_is_no_result_is_not_graded(in_tmp_path, run):
    (in_tmp_path / "r.json").write_text('{"kind": "evaluation", "format_version": 9}')
    status, _, err = run("--regrade", "r.json")
    assert status == 2
    assert "result format 9; this is format 1" in err


def test_shares_are_percentages_and_lengths_are_not():
    metrics = {
        "prompt_strict": Estimate(0.5, 0.01, 9),
        "cons@4": Estimate(1.0, 0.0, 9),
        "length_tokens": Estimate(812.4, 20.31, 9),
        "score": Estimate(7.25, 0.5, 9),
    }
    settings = {"samples": 4, "seed": 1, "temperature": 0.6, "top_p": 0.95, "max_new_tokens": 1024}
    one = result(
        problem(0, sampled("correct", "1")),
        metrics=metrics,
        metric="prompt_strict",
        settings=settings,
    )
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in table_lines(one)[1:]}
    assert rows == {
        "prompt_strict": "50.0% +- 1.0% n 9",
        "cons@4": "100.0% +- 0.0% n 9",
        "length_tokens": "812 +- 20.3 n 9",
        "score": "7.25 +- 0.5 n 9",
    }
