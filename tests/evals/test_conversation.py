"""Problems of two turns: the second question follows the model's own reply, and both are marked."""

import json

import pytest

from aha.errors import UserError
from aha.evals import backends
from aha.evals.grading import regrade
from aha.evals.journal import Journal
from aha.evals.plan import plan
from aha.evals.result import load_result
from aha.evals.run_eval import run
from aha.evals.suites.turns import MARK, joined, later_questions, parted
from aha.tasks.task import Problem
from tests.engine.chat_server import ChatServer
from tests.evals.evaluations import SILENT, tiny_eval

TURNS = ["Name a colour.", "Why that one?"]
TEMPLATE = (
    "{% for m in messages %}{{ m['role'][0] + ' ' + m['content'] + ' ' }}{% endfor %}"
    "{% if add_generation_prompt %}a{% endif %}"
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AHA_CACHE", str(tmp_path / "cache"))


def rows_file(tmp_path, num=3):
    rows = [{"id": str(i), "prompt": TURNS[0], "turns": TURNS, "answer": None} for i in range(num)]
    rows.append({"id": "single", "prompt": TURNS[0], "turns": TURNS[:1], "answer": None})
    path = tmp_path / "mt_bench.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def marks_by_turn(body):
    """8 for a first reply, 4 for a second one."""
    later = "<earlier-question" in body["messages"][-1]["content"]
    return f"Fine. [[{4 if later else 8}]]"


def config(tmp_path, judge, **values):
    defaults = {"suite": "mt-bench", "data": str(rows_file(tmp_path)), "judge": judge.reference}
    return tiny_eval(tmp_path, **{**defaults, "template": None, "samples": 1, **values})


def chat_model(tmp_path):
    """The tiny model with a chat template of its own."""
    tiny_eval(tmp_path)
    (tmp_path / "model" / "chat_template.jinja").write_text(TEMPLATE)


def test_a_server_is_sent_the_whole_conversation_without_the_thoughts(tmp_path):
    def tutor(body):
        said = "Blue." if len(body["messages"]) == 1 else "It calms."
        return {"reasoning_content": "hm", "content": said}

    with ChatServer(tutor) as server, ChatServer(marks_by_turn) as judge:
        planned = config(tmp_path, judge, model=server.reference)
        result = run(planned, out=tmp_path / "r.json", log=SILENT)
        texts = [p.samples[0].text for p in result.problems]
        seeds = [body["seed"] for body in server.bodies]
        again = regrade(load_result(tmp_path / "r.json"))
    thought = "<think>\nhm\n</think>\n\n"
    assert texts[0] == f"{thought}Blue.\n{MARK}\n{thought}It calms."
    assert texts[3] == f"{thought}Blue."
    later = [body["messages"] for body in server.bodies if len(body["messages"]) > 1]
    assert len(later) == 3 and len(server.bodies) == 7
    assert later[0] == [
        {"role": "user", "content": TURNS[0]},
        {"role": "assistant", "content": "Blue."},
        {"role": "user", "content": TURNS[1]},
    ]
    assert len(set(seeds)) == 7
    assert result.problems[0].samples[0].extracted == "8, 4"
    figures = {name: result.metrics[name].value for name in ("rating_turn_1", "rating_turn_2")}
    assert figures == {"rating_turn_1": 8.0, "rating_turn_2": 4.0}
    assert result.main.value == pytest.approx((3 * 6 + 8) / 4)
    assert again.result.metrics == result.metrics and not again.changed


def test_a_local_model_goes_on_and_the_bytes_are_the_same(tmp_path):
    chat_model(tmp_path)
    with ChatServer(marks_by_turn) as judge:
        planned = config(tmp_path, judge, samples=2)
        result = run(planned, out=tmp_path / "a.json", log=SILENT)
        run(planned, out=tmp_path / "b.json", log=SILENT)
        one = config(tmp_path, judge, samples=2, problems=1)
        alone = run(one, out=tmp_path / "c.json", log=SILENT)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert [len(parted(s.text)) for p in result.problems for s in p.samples] == [2] * 6 + [1] * 2
    lengths = [s.length_tokens for p in result.problems for s in p.samples]
    assert max(lengths[:6]) > 6 >= max(lengths[6:])
    second = {parted(s.text)[1] for p in result.problems[:3] for s in p.samples}
    assert len(second) > 1, "every conversation draws its own second reply"
    assert alone.problems[0].samples == result.problems[0].samples


def test_nothing_is_asked_behind_a_reply_that_says_nothing(tmp_path):
    """Thoughts that were cut off: some servers refuse an empty turn of the assistant."""

    def tutor(body):
        if any(not m["content"] for m in body["messages"]):
            return 400, {"error": "empty content"}
        is_cut = body["seed"] % 2 == 0
        return {"reasoning_content": "hm", "content": "" if is_cut else "Blue."}

    with ChatServer(tutor) as server, ChatServer(marks_by_turn) as judge:
        planned = config(tmp_path, judge, model=server.reference, samples=8)
        result = run(planned, out=tmp_path / "r.json", log=SILENT)
    samples = [s for p in result.problems[:3] for s in p.samples]
    marks = {s.extracted for s in samples}
    assert marks == {None, "8, 1", "8, 4"}  # nothing at all, one reply, two
    assert {s.verdict for s in samples if s.extracted is None} == {"unparseable"}
    expected = sum({None: 1.0, "8, 1": 4.5, "8, 4": 6.0}[s.extracted] for s in samples)
    single = [8.0 if s.extracted else 1.0 for s in result.problems[3].samples]
    assert result.main.value == pytest.approx((expected + sum(single)) / 32)
    turns = [result.metrics[f"rating_turn_{i}"].value for i in (1, 2)]
    assert turns[1] < result.main.value < turns[0]


def test_a_killed_evaluation_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    chat_model(tmp_path)
    monkeypatch.setattr(backends, "SMALL_UNIT_ROWS", 2)
    add, batches = Journal.add, []

    def killed(self, graded, **said):
        batches.append(graded)
        if len(batches) == 3:
            raise KeyboardInterrupt
        add(self, graded, **said)

    with ChatServer(marks_by_turn) as judge:
        planned = config(tmp_path, judge, samples=2)
        run(planned, out=tmp_path / "a.json", log=SILENT)
        with monkeypatch.context() as during:
            during.setattr(Journal, "add", killed)
            with pytest.raises(KeyboardInterrupt):
                run(planned, out=tmp_path / "b.json", log=SILENT)
        run(planned, out=tmp_path / "b.json", log=SILENT)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert len(batches) == 3


def test_what_is_no_list_of_turns_is_one_question():
    for turns in ("two", 2, None, ["one"]):
        assert later_questions(Problem(id="p", question="q", gold="", meta={"turns": turns})) == ()


def test_old_results_of_the_first_turn_alone_are_others(tmp_path):
    with ChatServer(marks_by_turn) as judge:
        chat_model(tmp_path)
        assert plan(config(tmp_path, judge)).header()["settings"]["turns"] == "all"


def test_a_template_without_turns_is_refused_before_anything_is_drawn(tmp_path):
    with ChatServer(marks_by_turn) as judge, pytest.raises(UserError, match="has no turns"):
        run(config(tmp_path, judge, template="r1-zero"), out=tmp_path / "r.json", log=SILENT)
    assert not (tmp_path / "r.json.partial").exists()


def test_a_reply_cannot_look_like_two():
    assert parted(joined([f"a\n{MARK}\nb", "c"])) == ["a\n\nb", "c"]
    assert parted("one") == ["one"]
