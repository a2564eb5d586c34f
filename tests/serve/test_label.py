"""Labelling over HTTP: sides are shuffled, ties allowed, pairs train a reward model."""

import pytest

from aha.cli.main import invoke
from aha.errors import UserError
from aha.pipeline.sources import embedded_model
from aha.serve.label import Labelling, decisions_path
from aha.serve.local_page import LocalServer
from aha.trainers.config import RewardModelConfig
from aha.trainers.reward_model import examples
from tests.serve.test_review import call, lines, write


def pair(number):
    return {"id": f"p{number}", "prompt": f"What is {number} + 11?", "language": "en",
            "answers": [f"good {number}", f"bad {number}"]}  # fmt: skip


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "pairs.jsonl", [pair(n) for n in range(24)])


def left_is_first(desk):
    return [desk.item(i)["left"].startswith("good") for i in range(len(desk))]


def test_sides_are_shuffled_by_the_seed(data):
    sides = {seed: left_is_first(Labelling(data, seed=seed, is_read_only=True)) for seed in (0, 1)}
    assert 6 <= sum(sides[0]) <= 18
    assert sides[0] != sides[1]
    assert sides[0] == left_is_first(Labelling(data, seed=0, is_read_only=True))


def test_the_better_answer_is_chosen_wherever_it_stands(data, tmp_path):
    desk = Labelling(data)
    with LocalServer(desk) as server:
        for index in range(22):
            item = call(server.url, f"item/{index}")
            assert "good" not in str(item["index"]) and item["decision"] is None
            sign = 1 if item["left"].startswith("good") else -1
            size = 2 if index % 2 else 1
            state = call(server.url, f"decide/{index}", {"decision": sign * size, "seconds": 6})
        state = call(server.url, "decide/22", {"decision": 0, "seconds": 6})
        assert state["counts"] == {"clear": 11, "slight": 11, "ties": 1}
        assert (state["done"], state["next"], state["left"]) == (23, 23, "less than a minute")
        shown = call(server.url, "item/3")
        assert shown["decision"] == (2 if shown["left"].startswith("good") else -2)
    desk.decisions.close()
    assert all(line["margin"] >= 0 for line in lines(decisions_path(data)))
    assert invoke(["label", str(data), "--export", str(tmp_path / "out.jsonl")]) == 0
    pairs = lines(tmp_path / "out.jsonl")
    assert len(pairs) == 22
    assert pairs[0] == {"id": "p0", "prompt": "What is 0 + 11?", "language": "en",
                        "chosen": "good 0", "rejected": "bad 0", "margin": 1.0}  # fmt: skip


def test_another_seed_later_does_not_turn_decisions_round(data):
    desk = Labelling(data, seed=0)
    for index, is_left in enumerate(left_is_first(desk)):
        desk.decide(index, {"decision": 1 if is_left else -1})
    desk.decisions.close()
    other = Labelling(data, seed=1, is_read_only=True)
    assert [pair["chosen"][:4] for pair in other.pairs()] == ["good"] * 24
    for index, is_left in enumerate(left_is_first(other)):
        assert other.item(index)["decision"] == (1 if is_left else -1)


def test_the_pairs_are_what_a_reward_model_reads(data, tmp_path):
    from aha.model.reward_model import reward_model_of

    desk = Labelling(data)
    for index, is_left in enumerate(left_is_first(desk)):
        desk.decide(index, {"decision": 1 if is_left else -1})
    desk.decisions.close()
    assert desk.export(tmp_path / "out.jsonl") == 24
    tokenizer = reward_model_of(embedded_model()).tokenizer
    read = examples(tmp_path / "out.jsonl", RewardModelConfig(template="none"), tokenizer)
    assert len(read) == 24
    chosen, rejected = read[0].rows
    assert "good 0" in tokenizer.decode(chosen) and "bad 0" in tokenizer.decode(rejected)


def test_judged_pairs_show_how_often_people_agree(tmp_path):
    rows = [{"prompt": f"{n}", "chosen": "a", "rejected": "b", "margin": 1.5} for n in range(4)]
    desk = Labelling(write(tmp_path / "p.jsonl", rows))
    for index in range(4):
        sign = 1 if desk.item(index)["left"] == "a" else -1
        desk.decide(index, {"decision": sign * (1 if index else -1)})
    assert desk.summary().endswith("The choice of the file is shared in 75% of 4.")
    assert [p["chosen"] for p in desk.pairs()] == ["b", "a", "a", "a"]
    desk.decisions.close()


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a"}, {"prompt": "a", "answers": ["b"]}, {"prompt": "a", "answers": "bc"},
        {"prompt": "a", "chosen": "b"}, {"prompt": " ", "answers": ["b", "c"]},
        {"prompt": "a", "answers": ["b", ""]}, {"answers": ["b", "c"]},
    ],
)  # fmt: skip
def test_a_row_that_is_no_pair_is_named(tmp_path, row):
    with pytest.raises(UserError, match="row 2 is no prompt with two answers"):
        Labelling(write(tmp_path / "p.jsonl", [pair(0), row]))


def test_nothing_decided_is_nothing_to_export(data, tmp_path):
    with pytest.raises(UserError, match="no pair has a better answer"):
        Labelling(data, is_read_only=True).export(tmp_path / "out.jsonl")
