"""The leaderboard: results merged, ranked only where they may be compared."""

import dataclasses
import json

import pytest

from aha.errors import UserError
from aha.evals.leaderboard import entry_of, kind_of, merge, save_leaderboard
from aha.evals.result import save_result
from tests.evals.fake_results import result

GOOD, FAIR, POOR = ["1111"] * 12, ["1100"] * 11 + ["1111"], ["1000"] * 12


@pytest.fixture
def files(tmp_path):
    made = {
        "good": result(GOOD, name="good"),
        "fair": result(FAIR, name="fair"),
        "poor": result(POOR, name="poor"),
        "hot": result(GOOD, name="hot", settings={"temperature": 1.0}),
        "other": result(FAIR, name="good", suite="math-500"),
    }
    for name, one in made.items():
        save_result(tmp_path / f"{name}.json", one)
    return tmp_path


def ranks(board, suite="gsm8k"):
    return {place.entry.model: place.rank for place in board.places(suite)}


def test_only_comparable_results_are_ranked(files):
    board = merge([files])
    assert ranks(board) == {"good": 1, "fair": 2, "poor": 3, "hot": None}
    assert [p.differs for p in board.places("gsm8k")] == [(), (), (), ("temperature",)]
    assert ranks(board, "math-500") == {"good": None}
    assert set(board.suites) == {"gsm8k", "math-500"}
    assert set(board.models) == {"good", "fair", "poor", "hot"}


def test_a_rank_is_shared_where_chance_may_have_decided(tmp_path):
    save_result(tmp_path / "a.json", result(["1100", "1000", "1110", "0000"], name="a"))
    save_result(tmp_path / "b.json", result(["1000", "1100", "1100", "0000"], name="b"))
    assert ranks(merge([tmp_path])) == {"a": 1, "b": 1}


def test_values_and_errors_are_those_of_the_results(files):
    entry = next(e for e in merge([files / "fair.json"]).entries)
    main = result(FAIR).main
    assert (entry.value, entry.stderr, entry.n) == (main.value, main.stderr, 12)
    assert entry.values["p/011"] == 1.0 and entry.values["p/000"] == 0.5


def test_a_written_leaderboard_is_read_and_merged_again(files, tmp_path):
    path = tmp_path / "boards" / "one.json"
    first = merge([files / "good.json", files / "hot.json"])
    save_leaderboard(path, first)
    assert kind_of(path) == "leaderboard"
    assert merge([path]) == first
    assert merge([path, files / "good.json"]) == first
    assert ranks(merge([path, files / "poor.json"])) == {"good": 1, "poor": 2, "hot": None}


def test_the_file_names_ranks_for_readers(files, tmp_path):
    save_leaderboard(tmp_path / "board.json", merge([files / "good.json", files / "poor.json"]))
    rows = json.loads((tmp_path / "board.json").read_text())["suites"]["gsm8k"]
    assert [(row["model"], row["rank"], row["value"]) for row in rows] == [
        ("good", 1, 1.0),
        ("poor", 2, 0.25),
    ]


def test_foreign_files_in_a_folder_are_passed_over(files):
    (files / "timing.json").write_text('{"seconds": 3}')
    (files / "broken.json").write_text("{")
    assert len(merge([files]).entries) == 5


def test_two_models_of_one_name_are_told_apart(tmp_path):
    for folder in ("x", "y"):
        one = result(GOOD, name="tiny")
        model = {"name": "tiny", "reference": f"{folder}/tiny", "sha256": folder * 64}
        save_result(tmp_path / f"{folder}.json", dataclasses.replace(one, model=model))
    assert merge([tmp_path]).models == ["tiny (x/tiny)", "tiny (y/tiny)"]


def test_nothing_to_merge_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no results"):
        merge([tmp_path])
    with pytest.raises(UserError, match="cannot be read"):
        merge([tmp_path / "none.json"])


@pytest.mark.parametrize(
    ("change", "said"), [({"format_version": 9}, "version"), ({"entries": [{}]}, "damaged")]
)
def test_a_bad_leaderboard_is_an_error(tmp_path, change, said):
    path = tmp_path / "board.json"
    save_leaderboard(path, merge_of(result(GOOD)))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=said):
        merge([path])


def merge_of(*results):
    from aha.evals.leaderboard import Leaderboard

    return Leaderboard(entries=tuple(map(entry_of, results)))
