"""A judge's verdicts: read with care, asked with swapped places, never paid for twice."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aha.data import preferences, rejection
from aha.data.config import PreferenceConfig, RejectionConfig
from aha.data.judge import Grade, Judge, read_grade, read_preference
from aha.data.writers import EndpointWriter, load_writer
from aha.engine.replies import Reply
from aha.errors import UserError
from aha.pipeline.files import read_json, read_jsonl
from aha.pipeline.sources import embedded_model
from aha.pipeline.testing import stage_context
from tests.engine.chat_server import ChatServer


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AHA_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ('{"analysis": "Same.", "correctness": "correct"}', Grade(True, "Same.")),
        ('```json\n{"correctness": "Incorrect", "analysis": "2 is not 3"}\n```',
         Grade(False, "2 is not 3")),
        ('Let me see. {"analysis": "x", "correctness": true} I hope that helps.', Grade(True, "x")),
        # LaTeX that is not escaped is no JSON; the key is still there
        (r'{"analysis": "\sqrt{4} = 2, {so}", "correctness": "correct"}', Grade(True)),
        # the answer's own verdict, quoted, is not the judge's
        (r'{"analysis": "It says {\"correctness\": \"correct\"}.", "correctness": "incorrect"}',
         Grade(False, 'It says {"correctness": "correct"}.')),
        ('{"correctness": "correct"}\nNo, wait.\n{"correctness": "incorrect"}', Grade(False)),
        ('{"correctness": "partly correct"}', Grade(None)),
        ('{"analysis": "correct"}', Grade(None)),
        ("The answer is correct.", Grade(None)),
        ("", Grade(None)),
        ('{"correctness": ["correct"]}', Grade(None)),
    ],
)  # fmt: skip
def test_reading_a_grade(text, grade):
    assert read_grade(Reply(text=text)) == grade


@given(st.text(alphabet='{}[]"\\:correctnessA>=B \n', max_size=400))
def test_no_text_is_too_odd_to_be_read(text):
    assert read_grade(Reply(text=text)).is_correct in (True, False, None)
    assert read_preference(text) in (None, -2, -1, 0, 1, 2)


@pytest.mark.parametrize("text", ["{" * 100_000, '{"a":' * 100_000, "[[" * 100_000])
def test_a_flood_is_read_in_no_time(text):
    assert read_grade(Reply(text=text)).is_correct is None
    assert read_preference(text) is None


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("[[A>>B]]", 2), ("[[A>B]]", 1), ("[[A=B]]", 0), ("[[B>A]]", -1), ("[[B>>A]]", -2),
        ("[[A\u226bB]]", 2), ("[[B\u226bA]]", -2), ("[[A<B]]", -1), ("[[B<<A]]", 2),
        ("Not [[A>B]] but [[ B > A ]].", -1), ("My verdict: A>B", None), ("[[A>A]]", None),
    ],
)  # fmt: skip
def test_reading_a_preference(text, score):
    assert read_preference(text) == score


def judge_of(server, **options):
    return Judge(load_writer(server.reference), **options)


def parts_of(prompt):
    """The fenced texts of a prompt by name."""
    found = re.findall(r"<([a-z_]+)-(\w{8})>\n(.*?)\n</\1-\2>", prompt, re.DOTALL)
    return {name: text for name, _, text in found}


def grader(body):
    parts = parts_of(body["messages"][-1]["content"])
    right = parts["reference"] in parts["answer"]
    return json.dumps({"analysis": "", "correctness": "correct" if right else "incorrect"})


def test_grades_come_in_order_and_are_paid_for_once():
    items = [("Why is the sky blue?", "scattering", f"Because of {x}.")
             for x in ("scattering", "the sea", "scattering")]  # fmt: skip
    with ChatServer(grader) as server:
        assert [g.is_correct for g in judge_of(server).grade(items)] == [True, False, True]
        first = len(server.bodies)
        judge_of(server).grade(items)
    assert len(server.bodies) == first <= 3
    assert all(body["temperature"] == 0 for body in server.bodies)


def test_a_judge_that_prefers_the_first_place_prefers_nobody():
    with ChatServer(lambda body: ["[[A>>B]]"] * body.get("n", 1)) as server:
        (opinions,) = judge_of(server).compare([("Hello", "one", "two")], 4)
    assert opinions == [2, 2, -2, -2]
    prompts = [parts_of(prompt) for prompt in server.prompts()]
    assert {(p["answer_a"], p["answer_b"]) for p in prompts} == {("one", "two"), ("two", "one")}
    assert all(body["n"] == 2 and body["temperature"] == 0.6 for body in server.bodies)


def test_judgements_without_a_verdict_are_left_out():
    with ChatServer(lambda body: ["[[A>B]]", "Hm."][: body.get("n", 1)]) as server:
        (opinions,) = judge_of(server).compare([("Hello", "one", "two")], 3)
    assert opinions == [1, -1]


def test_safety_labels():
    def labels(body):
        response = parts_of(body["messages"][-1]["content"])["response"]
        return {"bad": '{"safety": "unsafe"}', "good": '{"safety": "safe"}'}.get(response, "?")

    with ChatServer(labels) as server:
        items = [("p", "good"), ("p", "bad"), ("p", "odd")]
        assert judge_of(server).are_safe(items) == [True, False, None]


# The stages.


def free_form(folder):
    """Problems whose answers rules cannot compare: none of them is checkable."""
    (folder / "why.py").write_text(
        "import aha\n"
        "class Why(aha.Task):\n"
        "    name, checkable = 'why', False\n"
        "    def problems(self, split):\n"
        "        return [aha.Problem(id=f'why/{split}/{n}', question=f'What is {n + 10} - 3?',\n"
        "                gold=str(n + 7)) for n in range(12)]\n"
        "    def score(self, problem, response):\n"
        "        return aha.Verdict.error('no rule')\n"
        "task = Why()\n"
    )
    return str(folder / "why.py")


def test_rejection_sampling_with_a_judge_for_what_rules_cannot_grade(tmp_path):
    names = {"task": (free_form(tmp_path),), "template": "r1-zero", "samples": 4, "problems": 12}
    with pytest.raises(UserError, match="no answers that can be checked"):
        rejection.collect(stage_context(tmp_path / "none", RejectionConfig(**names),
                                        {"model": embedded_model()}))  # fmt: skip

    def exact(body):
        parts = parts_of(body["messages"][-1]["content"])
        right = parts["reference"].strip() == parts["answer"].strip()
        return json.dumps({"analysis": "", "correctness": "correct" if right else "incorrect"})

    with ChatServer(exact) as server:
        setting = RejectionConfig(judge=server.reference, **names)
        rejection.collect(stage_context(tmp_path / "s", setting, {"model": embedded_model()}))
    rows = list(read_jsonl(tmp_path / "s" / "data.jsonl"))
    assert rows
    for row in rows:
        assert row["meta"]["gold"] in row["messages"][1]["content"]
    dropped = read_json(tmp_path / "s" / "funnel.json")["dropped"]
    assert dropped["wrong"] > 0 and dropped["unscored"] == 0


def test_the_rules_verdict_stands_where_they_have_one(tmp_path):
    with ChatServer(lambda _: '{"correctness": "correct"}') as server:
        setting = RejectionConfig(
            task=("arithmetic",), template="r1-zero", problems=8, judge=server.reference
        )
        rejection.collect(stage_context(tmp_path / "s", setting, {"model": embedded_model()}))
    assert read_json(tmp_path / "s" / "funnel.json")["dropped"]["wrong"] > 0


def prompts_file(folder, count=4):
    path = folder / "prompts.jsonl"
    path.write_text("".join(f'{{"prompt": "What is {n} + 20?"}}\n' for n in range(11, 11 + count)))
    return str(path)


def later_is_better(body):
    """Compares by the alphabet and calls a response with a 7 in it unsafe."""
    parts = parts_of(body["messages"][-1]["content"])
    if "response" in parts:
        return json.dumps({"safety": "unsafe" if "7" in parts["response"] else "safe"})
    a, b = parts["answer_a"], parts["answer_b"]
    return "[[A>>B]]" if a > b else "[[B>>A]]" if b > a else "[[A=B]]"


def test_preferences_over_a_users_own_prompts(tmp_path):
    with ChatServer(later_is_better) as server:
        setting = PreferenceConfig(
            task=(prompts_file(tmp_path),), template="r1-zero", judge=server.reference,
            samples=4, max_new_tokens=160, balance_length=False,
        )  # fmt: skip
        preferences.collect(stage_context(tmp_path / "a", setting, {"model": embedded_model()}))
        asked = len(server.bodies)
        preferences.collect(stage_context(tmp_path / "b", setting, {"model": embedded_model()}))
    assert len(server.bodies) == asked
    folder = tmp_path / "a" / "preferences"
    pairs = list(read_jsonl(folder / "pairs.jsonl"))
    labels = list(read_jsonl(folder / "labels.jsonl"))
    assert pairs and all(p["chosen"] > p["rejected"] for p in pairs)
    assert {pair["margin"] for pair in pairs} == {2.0}
    assert len(labels) == 16
    assert all(label["safe"] == ("7" not in label["response"]) for label in labels)
    for name in ("pairs.jsonl", "labels.jsonl"):
        other = tmp_path / "b" / "preferences" / name
        assert (folder / name).read_bytes() == other.read_bytes()


def test_the_embedded_judge_is_for_the_embedded_world(tmp_path):
    setting = PreferenceConfig(task=("arithmetic",), template="r1-zero")
    with pytest.raises(UserError, match="knows nothing about the prompts"):
        preferences.collect(stage_context(tmp_path, setting, {"model": embedded_model()}))


def test_an_endpoint_judge_needs_no_model_folder():
    assert isinstance(load_writer("endpoint:http://localhost:1/v1#m"), EndpointWriter)
