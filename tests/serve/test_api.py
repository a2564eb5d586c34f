"""The API over a real socket: what is answered, in one piece and in many."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from aha.engine.endpoint import Endpoint
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.model.hf_folder import save_model
from aha.serve.api_http import MAX_BODY_BYTES
from aha.serve.service import prompt_key
from tests.serve.api_models import (
    chat,
    message_of,
    random_model,
    request,
    script_model,
    serving,
    stream,
)

TURNS = "{% for m in messages %}{{ m['content'] + ' ' }}{% endfor %}"
OPENING = TURNS + "{{ '<think>' }}"
JSON = {"Content-Type": "application/json"}
QUESTIONS = ["a b c", "d", "e f g h 1 2", "3 4", "5 a", "b b b b b b b b b"]


@pytest.fixture(scope="module")
def drawing():
    with serving(random_model(), max_rows=4) as server:
        yield server


@pytest.fixture(scope="module")
def script():
    with serving(script_model()) as server:
        yield server


def said(answer, index=0):
    choice = answer["choices"][index]
    message = choice["message"]
    return message["reasoning_content"], message["content"], choice["finish_reason"]


@pytest.mark.parametrize(("question", "reasoning", "content", "thoughts"), [
    ("ask", "because so\n", "forty-two", 7),
    ("plain", None, "just text", 0),
    ("zero", "x", "<answer>7</answer>", 1),
    ("half", None, "\U0001f600!", 0),
])  # fmt: skip
def test_thoughts_are_apart_in_both_modes(script, question, reasoning, content, thoughts):
    """The tags of the first are cut over tokens; the second has none."""
    answer = chat(script, question)
    assert said(answer) == (reasoning, content, "stop")
    pieces = stream(script, question, stream_options={"include_usage": True})
    assert message_of(pieces) == (reasoning or "", content, "stop")
    assert answer["usage"] == pieces[-1]["usage"]
    assert answer["usage"]["completion_tokens_details"] == {"reasoning_tokens": thoughts}
    assert answer["usage"]["prompt_tokens"] == 1


def test_a_thought_that_does_not_end_is_all_reasoning(script):
    answer = chat(script, "open", max_tokens=5)
    assert said(answer) == ("on andon and", "", "length")
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 5
    assert answer["usage"]["total_tokens"] == 6
    assert message_of(stream(script, "open", max_tokens=5)) == ("on andon and", "", "length")


def test_a_prompt_that_opens_the_thoughts():
    """As R1's template does; the answer has no opening tag of its own."""
    with serving(script_model(chat_template="{{ 'cause' }}"), template="chat") as server:
        assert said(chat(server, "x"))[:2] == (None, " so\n</think>\n\nforty-two")
    with serving(script_model(chat_template=OPENING), template="chat") as server:
        assert said(chat(server, "x", max_tokens=2)) == ("on and", "", "length")


def test_answer_tags_can_be_taken_off():
    with serving(script_model(), unwraps_answer=True) as server:
        assert said(chat(server, "zero")) == ("x", "7", "stop")
        assert message_of(stream(server, "zero")) == ("x", "7", "stop")


def test_a_conversation_goes_by_the_chat_template():
    with serving(script_model(chat_template=TURNS), template=None) as server:
        turns = [
            {"role": "user", "content": "hello"},
            {
                "role": "assistant",
                "content": "<think>a b c d</think>fine",
                "reasoning_content": "a",
            },
            {"role": "user", "content": "and plain"},
        ]
        status, answer, _ = request(
            server, "POST", "/v1/chat/completions", {"model": "tiny", "messages": turns}
        )
        assert status == 200 and said(answer)[1] == "just text"
        assert answer["usage"]["prompt_tokens"] == 4  # hello fine and plain


@pytest.mark.parametrize("question", ["ask", "plain"])
def test_stop_strings(script, question):
    stop = {"ask": ["y-", "rty"], "plain": "xt"}[question]
    expected = {"ask": "fo", "plain": "just te"}[question]
    answer = chat(script, question, stop=stop)
    assert said(answer)[1:] == (expected, "stop")
    assert message_of(stream(script, question, stop=stop))[1:] == (expected, "stop")
    assert answer["usage"]["completion_tokens"] == {"ask": 8, "plain": 2}[question]


def test_the_shape_of_an_answer_and_of_a_stream(script):
    answer = chat(script, "ask")
    assert answer["object"] == "chat.completion" and answer["id"].startswith("chatcmpl-")
    assert answer["model"] == "tiny" and abs(answer["created"] - time.time()) < 60
    pieces = stream(script, "ask")
    assert {piece["object"] for piece in pieces} == {"chat.completion.chunk"}
    assert len({piece["id"] for piece in pieces}) == 1
    deltas = [piece["choices"][0]["delta"] for piece in pieces]
    assert deltas[0] == {"role": "assistant", "content": ""} and deltas[-1] == {}
    kinds = [next(iter(delta)) for delta in deltas[1:-1]]
    assert kinds == sorted(kinds, reverse=True)  # all reasoning_content before all content
    assert all("usage" not in piece for piece in pieces)


def test_a_stream_comes_while_it_is_written():
    with serving(script_model(context=100_000)) as server:
        batch = server.api.service.batch
        connection = open_request(server, "open", stream=True)
        answer = connection.getresponse()
        lines = [answer.readline() for _ in range(5)]
        assert b"reasoning_content" in lines[2] and batch.num_rows == 1
        answer.close()
        connection.close()
        _until(lambda: batch.num_rows == 0)


def test_plain_completions(script):
    body = {"model": "tiny", "prompt": "ask", "max_tokens": 20}
    status, answer, _ = request(script, "POST", "/v1/completions", body)
    assert status == 200 and answer["object"] == "text_completion"
    text = "<think>\nbecause so\n</think>\n\nforty-two"
    assert answer["choices"][0]["text"] == text
    assert answer["usage"] == {"prompt_tokens": 1, "completion_tokens": 10, "total_tokens": 11}
    ids = script.api.service.tokenizer.encode("plain")
    _, answer, _ = request(
        script, "POST", "/v1/completions", {**body, "prompt": [ids, ids], "n": 2}
    )
    assert [(c["index"], c["text"]) for c in answer["choices"]] == [
        (i, "just text") for i in range(4)
    ]
    pieces = stream(script, "ask", path="/v1/completions", max_tokens=3)
    assert "".join(p["choices"][0]["text"] for p in pieces) == "<think>\nbe"
    assert pieces[-1]["choices"][0]["finish_reason"] == "length"


def expected(loaded, question, seed, samples=1):
    ids = loaded.tokenizer.encode(question)
    engine, params = (
        Engine(loaded.model, loaded.tokenizer, seed=seed),
        SamplingParams(max_new_tokens=30),
    )
    keys = [prompt_key(ids)]
    (group,) = engine.generate([ids], params, samples_per_prompt=samples, prompt_keys=keys)
    return [(completion.text, completion.finish_reason) for completion in group]


def test_the_same_seed_is_the_same_text_whoever_else_asks(drawing):
    """Twenty-four requests at once in a batch of four rows: each gets what the engine draws."""
    loaded = random_model()
    asked = [(question, seed) for question in QUESTIONS for seed in range(4)]
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda q: chat(drawing, q[0], seed=q[1], max_tokens=30), asked))
    found = [said(answer)[1:] for answer in answers]
    assert found == [expected(loaded, *question)[0] for question in asked]
    assert len(set(found)) > 18
    alone = chat(drawing, *asked[5][:1], seed=asked[5][1], max_tokens=30)
    assert said(alone) == said(answers[5])
    pieces = stream(drawing, asked[5][0], seed=asked[5][1], max_tokens=30)
    assert message_of(pieces)[1:] == found[5]


def test_without_a_seed_texts_differ(drawing):
    texts = {said(chat(drawing, "a b", max_tokens=30))[1] for _ in range(4)}
    assert len(texts) > 1


def test_several_answers(drawing):
    answer = chat(drawing, "a b c", n=6, seed=2, max_tokens=30)
    found = [said(answer, index)[1:] for index in range(6)]
    assert found == expected(random_model(), "a b c", 2, samples=6)
    pieces = stream(drawing, "a b c", n=6, seed=2, max_tokens=30)
    assert [message_of(pieces, index)[1:] for index in range(6)] == found


def test_greedy_is_the_same_every_time(drawing):
    texts = {said(chat(drawing, "a b", temperature=0, max_tokens=20))[1] for _ in range(3)}
    assert len(texts) == 1


def test_our_own_client(drawing):
    loaded = random_model()
    endpoint = Endpoint(drawing.url)
    assert endpoint.model == "tiny"
    talks = [[{"role": "user", "content": question}] for question in QUESTIONS]
    params = SamplingParams(max_new_tokens=30)
    replies = endpoint.sample(talks, params, samples=3, seed=1)
    for question, group in zip(QUESTIONS, replies, strict=True):
        whole = expected(loaded, question, 1, samples=3)
        assert [(reply.text, reply.finish_reason) for reply in group] == [
            (text.strip(), reason) for text, reason in whole
        ]
        assert group[0].usage.prompt_tokens == len(question.split())
    long = endpoint.complete([[{"role": "user", "content": "a " * 70}]], params)
    assert [(reply.text, reply.finish_reason) for reply in long] == [("", "length")]
    with pytest.raises(UserError, match="unknown model 'tinny'"):
        Endpoint(drawing.url, "tinny").complete(talks[:1], params)


def test_our_own_client_gets_the_thoughts(script):
    endpoint = Endpoint(script.url, "tiny")
    (reply,) = endpoint.complete([[{"role": "user", "content": "ask"}]], SamplingParams())
    assert (reply.reasoning, reply.text) == ("because so", "forty-two")
    assert reply.usage.reasoning_tokens == 7


def error_of(server, body, path="/v1/chat/completions", **headers):
    status, answer, _ = request(server, "POST", path, body, **headers)
    assert set(answer) == {"error"} and set(answer["error"]) == {"message", "type", "param", "code"}
    return status, answer["error"]["code"], answer["error"]["message"]


ASK = {"model": "tiny", "messages": [{"role": "user", "content": "a"}]}


@pytest.mark.parametrize(("body", "status", "code", "message"), [
    ({**ASK, "model": "other"}, 404, "model_not_found", "this server has 'tiny'"),
    ({**ASK, "temperature": -1}, 400, None, "temperature = -1"),
    ({**ASK, "temprature": 1}, 400, None, "did you mean temperature?"),
    ({**ASK, "messages": [{"role": "user", "content": "a " * 64}]}, 400, "context_length_exceeded",
     "maximum context length is 64 tokens, the prompt has 64"),
    ({**ASK, "messages": [{"role": "user", "content": ""}]}, 400, None, "the prompt is empty"),
    ({**ASK, "messages": ASK["messages"] * 2}, 400, None, "has no turns"),
    (b"{", 400, None, "not JSON"),
    (b'{"temperature": NaN}', 400, None, "NaN is not JSON"),
    (b"[" * 100_000, 400, None, "not JSON"),
    (b"\xff", 400, None, "not JSON"),
    ([], 400, None, "not a JSON object"),
])  # fmt: skip
def test_bad_requests(drawing, body, status, code, message):
    found = error_of(drawing, body)
    assert found[:2] == (status, code) and message in found[2]


def test_token_ids_outside_the_vocabulary(drawing):
    for prompt in ([16], [-1], [[1], [99]]):
        body = {"model": "tiny", "prompt": prompt}
        assert error_of(drawing, body, "/v1/completions")[2] == "token ids are from 0 to 15"


def test_bad_http(drawing):
    connection = socket.create_connection(("127.0.0.1", drawing.port), timeout=5)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
    connection.sendall(f"{head}Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode())
    assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")
    connection.close()
    kind = {"Content-Type": "text/plain"}
    assert error_of(drawing, b"{}", **kind)[0] == 415
    assert error_of(drawing, ASK, "/v1/nothing")[:2] == (404, "unknown_url")
    assert error_of(drawing, ASK, "/v1/models")[0] == 405
    assert request(drawing, "GET", "/v1/chat/completions")[0] == 405
    assert request(drawing, "GET", "/../etc/passwd")[0] == 404
    assert request(drawing, "DELETE", "/v1/models")[0] == 501


def test_a_connection_serves_many_requests(script):
    connection = http.client.HTTPConnection("127.0.0.1", script.port, timeout=5)
    for _ in range(3):
        body = {"model": "tiny", "messages": [{"role": "user", "content": "plain"}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), JSON)
        assert b"just text" in connection.getresponse().read()
        connection.request("POST", "/v1/chat/completions", "{", JSON)
        answer = connection.getresponse()
        assert answer.status == 400 and answer.read()
    connection.close()


def test_other_addresses(drawing):
    status, models, _ = request(drawing, "GET", "/v1/models")
    assert status == 200 and [m["id"] for m in models["data"]] == ["tiny"]
    assert models["data"][0]["max_model_len"] == 64
    assert request(drawing, "GET", "/models/tiny")[1]["id"] == "tiny"
    assert request(drawing, "GET", "/v1/models/none")[0] == 404
    assert request(drawing, "GET", "/health")[:2] == (200, {"status": "ok", "model": "tiny"})


def test_metrics(script):
    def numbers():
        lines = request(script, "GET", "/metrics")[1].splitlines()
        return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    before = numbers()
    chat(script, "plain", n=2)
    answers = 'aha_answers_total{status="200"}'
    deadline = time.monotonic() + 10
    while float((after := numbers())[answers]) < float(before[answers]) + 2:  # counted when sent
        assert time.monotonic() < deadline
    grown = {name: float(after[name]) - float(before[name]) for name in before}
    assert grown["aha_completion_tokens_total"] == 6 and grown["aha_prompt_tokens_total"] == 1
    assert grown["aha_completions_total"] == 2 and after["aha_rows_running"] == "0"


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": ""},
])  # fmt: skip
def test_pages_of_other_sites_get_nothing(drawing, headers):
    assert error_of(drawing, ASK, **headers)[0] == 403


def test_this_machine_by_any_of_its_names(drawing):
    for host in ("localhost", "127.0.0.1:9", "[::1]:8000"):
        assert request(drawing, "GET", "/v1/models", Host=host)[0] == 200
    assert request(drawing, "GET", "/v1/models", Origin="http://localhost:3000")[0] == 200


def test_a_key():
    with serving(script_model(), key="secret") as server:
        assert error_of(server, ASK)[:2] == (401, "invalid_api_key")
        assert error_of(server, ASK, Authorization="Bearer Secret")[0] == 401
        assert request(server, "GET", "/v1/models")[0] == 401
        assert request(server, "GET", "/health")[0] == 200
        body = {"model": "tiny", "messages": [{"role": "user", "content": "plain"}]}
        good = {"Authorization": "Bearer secret"}
        assert request(server, "POST", "/v1/chat/completions", body, **good)[0] == 200


def _until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def open_request(server, content, **options):
    """A connection with a request that is not answered yet."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    body = {"model": "tiny", "messages": [{"role": "user", "content": content}], **options}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), JSON)
    return connection


@pytest.mark.parametrize("is_stream", [False, True])
def test_who_leaves_is_not_written_for(is_stream):
    with serving(script_model(context=100_000), max_rows=2) as server:
        batch = server.api.service.batch
        first = open_request(server, "open", stream=is_stream)
        _until(lambda: batch.num_rows == 1)
        first.close()
        first.sock = None
        _until(lambda: batch.num_rows == 0)
        assert said(chat(server, "plain"))[1] == "just text"


def test_a_full_queue_is_told():
    with serving(script_model(context=100_000), max_rows=1, max_waiting=1) as server:
        service = server.api.service
        running = open_request(server, "open")
        _until(lambda: service.batch.num_rows == 1)
        waiting = open_request(server, "plain")
        _until(lambda: service.num_waiting == 1)
        status, answer, headers = request(server, "POST", "/v1/chat/completions", ASK)
        assert (status, answer["error"]["code"], headers["Retry-After"]) == (429, "queue_full", "1")
        running.close()
        assert said(json.loads(waiting.getresponse().read()))[1] == "just text"
        waiting.close()


def test_the_end_of_the_server_is_told():
    with serving(script_model(context=100_000)) as server:
        whole, pieces = open_request(server, "open"), open_request(server, "open", stream=True)
        _until(lambda: server.api.service.batch.num_rows == 2)
    answer = whole.getresponse()
    assert answer.status == 503 and b"shutting down" in answer.read()
    answer = pieces.getresponse()
    assert answer.status == 200 and b"shutting down" in answer.read()
    assert not server.api.service.is_open
    with pytest.raises(ConnectionRefusedError):
        request(server, "GET", "/health")
    whole.close()
    pieces.close()


def test_the_command(tmp_path):
    loaded = script_model(chat_template=TURNS)
    save_model(tmp_path / "mine", loaded.model, loaded.tokenizer)
    command = [sys.executable, "-m", "aha.cli.main", "serve", str(tmp_path / "mine"), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(command, **pipes, text=True) as process:
            url = process.stdout.readline().strip()
            (reply,) = Endpoint(url).complete(
                [[{"role": "user", "content": "plain"}]], SamplingParams()
            )
            assert reply.text == "just text"
            assert Endpoint(url).model == "mine"
            process.send_signal(number)
            _, told = process.communicate(timeout=20)
            assert process.returncode == 0, told
            assert "template chat, context 256 tokens" in told and "Traceback" not in told
            assert "POST /v1/chat/completions 200" in told


def test_bad_command_lines(tmp_path, capsys, monkeypatch):
    from aha.cli.main import invoke

    loaded = script_model()
    save_model(tmp_path / "mine", loaded.model, loaded.tokenizer)
    folder = str(tmp_path / "mine")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as taken, contextlib.suppress(OSError):
        port = str(taken.getsockname()[1])
        for options, message in (
            (["nowhere"], "there is no model folder"),
            ([folder, "--api-key-variable", "NO_SUCH_KEY"], "NO_SUCH_KEY holds no key"),
            ([folder, "--template", "chatt"], "unknown prompt template 'chatt'"),
            ([folder, "--template", "chat"], "this model has no chat template"),
            ([folder, "--port", port], f"127.0.0.1, port {port}: Address already in use"),
            ([folder, "--host", "no.such.name.invalid", "--port", "0"], "no.such.name.invalid"),
        ):
            assert invoke(["serve", *options]) == 2
            told = capsys.readouterr().err
            assert message in told and "Traceback" not in told
