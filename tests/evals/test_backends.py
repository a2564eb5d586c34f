"""Evaluations through a server: every response asked for once, kept at once, graded as text."""

import sys
import time
from types import SimpleNamespace

import pytest
import torch

from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.evals.backends import VllmBackend, as_ready
from aha.evals.result import journal_path
from aha.evals.run_eval import run
from aha.model.tokenizer import Tokenizer
from aha.trainers.rollouts import Prompter
from tests.engine.chat_server import ChatServer
from tests.evals.evaluations import SILENT, letters_file, tiny_eval


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AHA_CACHE", str(tmp_path / "cache"))


def config(tmp_path, server, **values):
    """An evaluation of the letters through a server."""
    defaults = {"model": server.reference, "template": None, "suite": str(letters_file(tmp_path))}
    return tiny_eval(tmp_path, **defaults | values)


def evaluated(tmp_path, server, **values):
    return run(config(tmp_path, server, **values), out=tmp_path / "r.json", log=SILENT)


def answer(body):
    """The letter of the question from even seeds, another one from odd seeds."""
    letter = body["messages"][-1]["content"].split()[0]
    return {"reasoning_content": "let me see", "content": letter if body["seed"] % 2 == 0 else "h"}


def test_an_endpoint_is_asked_once_for_every_response(tmp_path):
    with ChatServer(answer) as server:
        result = evaluated(tmp_path, server)
    assert len(server.bodies) == 24
    assert len({(b["messages"][0]["content"], b["seed"]) for b in server.bodies}) == 24
    body = server.bodies[0]
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (1.0, 1.0, 6)
    texts = {s.text for p in result.problems for s in p.samples}
    assert "<think>\nlet me see\n</think>\n\na" in texts
    right = [sum(s.text[-1] in "abcd" for s in p.samples) for p in result.problems]
    assert [p.num_correct for p in result.problems] == right
    assert 0 < sum(right) < 24
    assert result.metrics["length_tokens"].value == 5.0
    assert result.model == {"name": "tutor", "reference": server.reference, "sha256": None}
    assert result.engine["name"] == "endpoint"
    assert result.settings["template"] == "chat"


def test_the_same_seed_asks_the_same_and_gives_the_same_bytes(tmp_path):
    with ChatServer(answer) as server:
        evaluated(tmp_path, server)
        first = (tmp_path / "r.json").read_bytes()
        (tmp_path / "r.json").unlink()
        evaluated(tmp_path, server)
    assert (tmp_path / "r.json").read_bytes() == first
    assert len(server.bodies) == 48  # no reply of another day is taken for the model's


def test_several_requests_run_at_once_but_no_more_than_asked_for(tmp_path):
    def slowly(body):
        time.sleep(0.01)
        return answer(body)

    with ChatServer(slowly) as server:
        evaluated(tmp_path, server, ranks=3)
    assert server.most_at_once == 3


def test_a_server_that_fails_half_way_loses_nothing(tmp_path):
    served = []

    def fails(body):
        served.append(body)
        return answer(body) if len(served) <= 10 else (400, {"error": "out of order"})

    with ChatServer(fails) as server:
        with pytest.raises(UserError, match="out of order"):
            evaluated(tmp_path, server)
        rows = (journal_path(tmp_path / "r.json") / "rank-0.jsonl").read_text()
        kept = rows.count('"verdict"')
        assert kept == 10
        before = len(server.bodies)
        server.answer = answer
        result = evaluated(tmp_path, server)
        assert len(server.bodies) - before == 24 - kept
    assert [len(p.samples) for p in result.problems] == [4] * 6


def test_a_server_that_is_not_there_is_the_users_error(tmp_path):
    with ChatServer(answer) as server:
        gone = config(tmp_path, server)
    with pytest.raises(UserError, match="cannot be reached") as refused:
        run(gone, out=tmp_path / "r.json", log=SILENT)
    assert "running" in refused.value.hint


def test_a_question_too_long_for_the_server_counts_as_cut_off(tmp_path):
    refusal = (400, {"error": {"message": "maximum context length is 8 tokens"}})
    with ChatServer(lambda body: refusal) as server:
        result = evaluated(tmp_path, server, problems=2, samples=1)
    assert result.metrics["truncated"].value == 1.0
    assert result.main.value == 0.0


def test_vllm_is_asked_by_its_public_names(tmp_path, monkeypatch):
    """A stand-in for the package: what it is given, and that its answers find their places."""
    asked = []

    class SamplingParams(dict):
        def __init__(self, **values):
            super().__init__(values)

    class LLM:
        def __init__(self, model, dtype, seed, **options):
            asked.append((model, dtype, seed))
            assert options.pop("max_model_len") == 64
            assert options == (
                {} if torch.cuda.is_available() else {"enable_chunked_prefill": False}
            )

        def generate(self, prompts, params, *, use_tqdm):
            asked.append((prompts, params))
            return [
                self.output(prompt, one["seed"])
                for prompt, one in zip(prompts, params, strict=True)
            ]

        def output(self, prompt, seed):
            ids = [*prompt["prompt_token_ids"], seed % 5]
            text = "abcdefgh"[ids[0] - 2]
            finished = SimpleNamespace(text=text, token_ids=ids, finish_reason="length")
            return SimpleNamespace(outputs=[finished])

    fake = SimpleNamespace(LLM=LLM, SamplingParams=SamplingParams, __version__="0.0-fake")
    monkeypatch.setitem(sys.modules, "vllm", fake)
    config = tiny_eval(tmp_path, engine="vllm", seed=7)
    result = run(config, out=tmp_path / "r.json", log=SILENT)
    assert result.engine == {"name": "vllm", "version": "0.0-fake", "dtype": "auto"}
    assert asked[0] == (config.model, "auto", 7)
    prompts, params = asked[1]
    assert len(prompts) == len({one["seed"] for one in params}) == 24
    assert prompts[4] == {"prompt_token_ids": [3, 11]}  # "b 1"
    shared = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 6, "stop_token_ids": [0]}
    assert all(one == {**shared, "seed": one["seed"]} for one in params)
    letters = [p.question[0] for p in result.problems]
    assert [{s.text for s in p.samples} for p in result.problems] == [{x} for x in letters]
    assert {s.length_tokens for p in result.problems for s in p.samples} == {3}


def test_vllm_is_not_given_what_does_not_fit(tmp_path):
    asked = []

    def generate(prompts, params, *, use_tqdm):
        asked.extend(prompts)
        answer = SimpleNamespace(text="fine", token_ids=[1], finish_reason="stop")
        return [SimpleNamespace(outputs=[answer]) for _ in prompts]

    tiny_eval(tmp_path)
    tokenizer = Tokenizer.from_folder(tmp_path / "model")
    llm = SimpleNamespace(generate=generate)
    params = SamplingParams(max_new_tokens=6)
    backend = VllmBackend(llm, Prompter("none", tokenizer), params, 0, context_tokens=8)
    fake = SimpleNamespace(SamplingParams=lambda **said: said)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "vllm", fake)
        (batch,) = backend.sample(["a 1", "a " * 20], [(0, 0), (1, 0), (0, 1)])
    assert len(asked) == 2
    assert [(r.place, r.text, r.finish_reason) for r in batch] == [
        ((0, 0), "fine", "stop"),
        ((1, 0), "", "length"),
        ((0, 1), "fine", "stop"),
    ]


def test_what_is_ready_comes_first_and_an_error_last():
    def ask(place):
        if place == (2, 0):
            raise UserError("no")
        return type("R", (), {"place": place})()

    found = []
    with pytest.raises(UserError, match="no"):
        for batch in as_ready(ask, [(i, 0) for i in range(50)], num_threads=2):
            found += [reply.place for reply in batch]
    assert {(0, 0), (1, 0)} <= set(found)
    assert (2, 0) not in found
    assert len(found) < 50
