"""Reviewing over HTTP: every decision is kept at once, goes on after a kill, and is exported."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from aha.cli.main import invoke
from aha.errors import UserError
from aha.serve.decisions import Decisions, seconds_of
from aha.serve.local_page import LocalServer
from aha.serve.review import Review, decisions_path


def row(number, **more):
    said = {"role": "assistant", "reasoning_content": f"I add. Wait, it is {number + 11}.",
            "content": f"It is \\boxed{{{number + 11}}}."}  # fmt: skip
    messages = [{"role": "user", "content": f"What is {number} + 11?"}, said]
    return {"id": f"sums/{number}", "language": "en", "messages": messages,
            "meta": {"gold": str(number + 11)}, **more}  # fmt: skip


def write(path, rows):
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "data.jsonl", [row(n) for n in range(4)])


@pytest.fixture
def desk(data):
    desk = Review(data)
    yield desk
    desk.decisions.close()


def call(url, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url + path, data, headers)) as answer:
        return json.load(answer)


def test_a_review_from_the_first_to_the_last(desk, data, tmp_path):
    with LocalServer(desk) as server:
        assert call(server.url, "state") == {
            "total": 4, "done": 0, "counts": {"accepted": 0, "edited": 0, "rejected": 0},
            "left": "", "next": 0,
        }  # fmt: skip
        item = call(server.url, "item/0")
        assert item["question"] == "What is 0 + 11?" and item["decision"] is None
        assert item["answer"] == {"gold": "11", "found": "11", "is_right": True}
        assert "".join(text for _, text in item["pieces"]) == "I add. Wait, it is 11."
        assert ["k r", "Wait"] in item["pieces"]
        call(server.url, "decide/0", {"decision": "accepted", "seconds": 20})
        edit = {"decision": "edited", "reasoning_content": "11.", "content": "\\boxed{12}"}
        state = call(server.url, "decide/1", {**edit, "seconds": 40})
        assert (state["next"], state["left"]) == (2, "about 1 min")
        assert call(server.url, "item/1")["answer"]["is_right"] is True
        state = call(server.url, "decide/3", {"decision": "rejected", "seconds": 1})
        assert state["next"] == 2  # the first that was passed over
        assert call(server.url, "decide/2", {"decision": "rejected"})["next"] is None
        assert call(server.url, "decide/2", {"decision": "accepted"})["counts"] == {
            "accepted": 2, "edited": 1, "rejected": 1,
        }  # fmt: skip
    assert len(lines(decisions_path(data))) == 5
    assert desk.export(tmp_path / "out.jsonl") == 3
    first, second, third = lines(tmp_path / "out.jsonl")
    assert first == row(0) | {"meta": {"gold": "11", "review": "accepted"}}
    assert second["messages"][-1] == {
        "role": "assistant", "reasoning_content": "11.", "content": "\\boxed{12}",
    }  # fmt: skip
    assert second["meta"]["review"] == "edited" and third["id"] == "sums/2"


def test_it_goes_on_where_it_was_left(data):
    with_one = Review(data)
    with_one.decide(0, {"decision": "rejected"})
    with_one.decisions.close()
    with decisions_path(data).open("a") as file:
        file.write('{"key": "torn')  # what a kill in the middle of a write leaves
    again = Review(data)
    assert again.state()["next"] == 1 and again.item(0)["decision"] == "rejected"
    again.decide(1, {"decision": "accepted"})
    again.decisions.close()
    assert [line["decision"] for line in lines(decisions_path(data))] == ["rejected", "accepted"]


def test_decisions_stay_with_their_rows_when_the_file_changes(data):
    desk = Review(data)
    desk.decide(2, {"decision": "accepted"})
    desk.decisions.close()
    write(data, [row(9), row(2), row(2)])  # the last one twice
    desk = Review(data)
    assert desk.state()["total"] == 2
    assert [desk.item(i)["decision"] for i in range(2)] == [None, "accepted"]
    desk.decisions.close()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"decision": "maybe"}, "one of accepted"),
        ({"decision": "edited", "reasoning_content": "a", "content": " "}, "is empty"),
        ({"decision": "edited", "content": "a"}, "reasoning_content is no text"),
        ({"decision": "edited", "reasoning_content": "</think>", "content": "a"}, "no place"),
    ],
)
def test_an_edit_that_cannot_be_learnt_from(desk, data, said, words):
    with LocalServer(desk) as server, pytest.raises(urllib.error.HTTPError) as caught:
        call(server.url, "decide/0", said)
    with caught.value as error:
        assert error.code == 400 and words in json.load(error)["error"]
    assert decisions_path(data).read_bytes() == b""


def test_an_edit_that_changes_nothing_is_an_acceptance(desk):
    said = row(0)["messages"][-1]
    desk.decide(0, {"decision": "edited", **said})
    assert desk.item(0)["decision"] == "accepted"


def test_texts_of_a_model_stay_text(tmp_path):
    messages = [
        {"role": "user", "content": "first"}, {"role": "assistant", "content": "\u202eevil"},
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "<b>\x07"},
    ]  # fmt: skip
    desk = Review(write(tmp_path / "d.jsonl", [{"messages": messages}]))
    item = desk.item(0)
    assert [turn["content"] for turn in item["history"]] == [
        "first", "[Right-To-Left Override]evil",
    ]  # fmt: skip
    assert item["pieces"] == [] and item["answer"] is None
    desk.decide(0, {"decision": "accepted"})
    assert desk.accepted()[0]["messages"] == messages
    desk.decisions.close()


def test_two_people_do_not_write_to_one_file(desk, data):
    with pytest.raises(UserError, match="being written by another process"):
        Review(data)
    Review(data, is_read_only=True)


def test_a_damaged_line_is_named(data):
    decisions_path(data).write_text('{"key": "a"}\n{"id": 3}\n')
    with pytest.raises(UserError, match="line 2 is no decision"):
        Decisions(decisions_path(data), is_read_only=True)


@pytest.mark.parametrize("rows", [[], [{"a": 1}], [{"messages": [{"role": "user"}]}]])
def test_a_file_that_is_no_data(tmp_path, rows):
    with pytest.raises(UserError):
        Review(write(tmp_path / "d.jsonl", rows))


@pytest.mark.parametrize("value", [None, "3", -1, float("nan"), float("inf"), 1e300, True])
def test_nonsense_about_time_is_no_time(value):
    assert seconds_of({"seconds": value}) == (1.0 if value is True else 0.0)


def test_the_command_survives_a_kill(data, tmp_path, monkeypatch, capsys):
    command = [sys.executable, "-m", "aha.cli.main", "review", str(data)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    with process:
        url = process.stdout.readline().strip()
        call(url, "decide/0", {"decision": "accepted"})
        process.send_signal(signal.SIGKILL)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    with process:
        url = process.stdout.readline().strip()
        assert call(url, "state")["done"] == 1
        call(url, "decide/1", {"decision": "rejected"})
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(10) == 0
        assert "2 of 4 reviewed: 1 accepted, 0 edited, 1 rejected." in process.stderr.read()
    monkeypatch.chdir(tmp_path)
    assert invoke(["review", str(data), "--export", "good.jsonl"]) == 0
    assert capsys.readouterr().out == "1 rows: good.jsonl\n"
    assert [one["id"] for one in lines(tmp_path / "good.jsonl")] == ["sums/0"]


def test_wrong_commands(data, capsys):
    for arguments in (["review", "nothing.jsonl"], ["review", str(data), "--export", str(data)],
                      ["review", str(data), "--export", "x.jsonl"]):  # fmt: skip
        assert invoke(arguments) == 2
        assert "hint: " in capsys.readouterr().err
