"""The arms on the embedded model: what may differ between them, and the figures made of them."""

import json
from types import SimpleNamespace

import pytest

from aha.errors import UserError
from aha.evals.emergence import causal
from aha.evals.emergence.causal import ARMS, CausalConfig, ends_in_a_check, summarise_arms
from aha.evals.emergence.run import run_causal
from aha.evals.scaling.journal import Journal

CONFIG = CausalConfig(
    suite="arithmetic", problems=6, samples=2, temperature=1.0, top_p=1.0, max_new_tokens=128
)


def run(folder, config=CONFIG, note=lambda text: None):
    return run_causal("embedded", config, folder, note)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The result, and the rows that the journal holds."""
    folder = tmp_path_factory.mktemp("causal")
    result = run(folder / "journal")
    (file,) = (folder / "journal").glob("*.jsonl")
    rows = [row for line in file.read_text().splitlines() for row in json.loads(line)["value"]]
    return SimpleNamespace(result=result, rows=rows)


def test_forbidden_words_do_not_occur_and_nothing_else_changes(measured):
    assert len(measured.rows) == 12
    assert any(row["free"]["reflection"] for row in measured.rows)
    for row in measured.rows:
        assert row["forbidden"]["reflection"] == 0
        if not row["free"]["reflection"]:
            assert row["forbidden"] == row["free"]  # the same random numbers


def test_a_forced_look_stands_behind_the_whole_thought(measured):
    forced = [row for row in measured.rows if "forced" in row]
    assert forced
    for row in forced:
        thought = row["free"]["text"].partition("</think>")[0]
        assert row["resumed"]["text"].startswith(thought)
        assert row["forced"]["text"].startswith((thought + " Wait,", thought + "等等，"))


def test_another_cue_can_be_forced(tmp_path):
    config = CONFIG.replace(problems=3, cue=" But")
    run(tmp_path / "journal", config)
    (file,) = (tmp_path / "journal").glob("*.jsonl")
    rows = [row for line in file.read_text().splitlines() for row in json.loads(line)["value"]]
    for row in rows:
        if "forced" in row:
            thought = row["free"]["text"].partition("</think>")[0]
            assert row["forced"]["text"].startswith(thought + " But")


def test_a_killed_measurement_goes_on_to_the_same_result(tmp_path, monkeypatch, measured):
    monkeypatch.setattr(causal, "CHUNK_PROBLEMS", 2)

    class Killed(Exception):
        pass

    def die(text):
        if text.startswith("4/"):
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path / "journal", note=die)
    notes = []
    resumed = run(tmp_path / "journal", note=notes.append)
    assert json.dumps(resumed) == json.dumps(measured.result)
    assert notes == ["2/6 problems", "4/6 problems", "6/6 problems"]
    kept = Journal(tmp_path / "journal", next((tmp_path / "journal").glob("*")).name[:16], _alone())
    assert len(kept) == 3


def _alone():
    from aha.pipeline.ranks import Ranks

    return Ranks()


def arm(correct, length=10, text=""):
    return {
        "correct": correct,
        "length_tokens": length,
        "reflection": 0,
        "truncated": False,
        "text": text,
    }


def test_differences_are_of_the_same_responses():
    rows = []
    for number in range(8):
        wrong = number < 2
        row = {"problem": f"p{number}", "sample": 0, "free": arm(not wrong)}
        row["forbidden"] = arm(False, length=4)
        if number != 7:  # one response without a finished thought
            row |= {"resumed": arm(not wrong), "forced": arm(True, length=15, text="x")}
            row["checked"] = not wrong
        rows.append(row)
    table = summarise_arms(rows)
    assert table["arms"]["free"]["pass@1"]["value"] == 6 / 8
    assert table["arms"]["forced"]["pass@1"] == {"value": 1.0, "stderr": 0.0, "n": 7}
    forbidden = table["differences"]["forbidden - free"]
    assert forbidden["pass@1"]["value"] == -6 / 8 and forbidden["responses"] == 8
    assert forbidden["length_tokens"]["value"] == -6.0
    forced = table["differences"]["forced - resumed"]
    assert forced["pass@1"]["value"] == pytest.approx(2 / 7) and forced["changed"] == 1.0
    by_end = table["forced - resumed, the thought"]
    assert by_end["ends without"]["pass@1"]["value"] == 1.0
    assert by_end["ends in a check"]["pass@1"]["value"] == 0.0
    moves = table["forced"]
    assert moves["wrong_made_right"]["forced"]["value"] == 1.0
    assert moves["wrong_made_right"]["resumed"]["value"] == 0.0
    assert moves["right_kept"]["forced"] == {"value": 1.0, "stderr": 0.0, "n": 5}
    assert [example["kind"] for example in moves["examples"]] == ["fixed", "fixed"]


def test_nothing_forced_is_no_difference():
    table = summarise_arms(
        [{"problem": "p", "sample": 0, "free": arm(True), "forbidden": arm(True)}]
    )
    assert table["arms"]["forced"] is None and table["differences"]["forced - free"] is None
    assert set(table["arms"]) == set(ARMS)


@pytest.mark.parametrize(
    ("thought", "checked"),
    [
        (" First 1 + 1 = 2. Wait, check: 2 - 1 = 1, want 1: right.", True),
        (" Wait, check: 2 - 1 = 1, want 1: right. Then 2 + 3 = 5.", False),
        ("然后 1 + 1 = 2。等等，检查： 2 - 1 = 1，应为 1：正确。", True),
        ("", False),
    ],
)
def test_the_end_of_a_thought(thought, checked):
    assert ends_in_a_check(thought) is checked


def test_a_suite_without_right_answers_is_refused(tmp_path):
    with pytest.raises(UserError, match="no problems that rules can grade"):
        run(tmp_path / "journal", CausalConfig(suite="smalltalk"))
