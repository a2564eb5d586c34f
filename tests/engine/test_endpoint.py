"""An endpoint's replies: read, cached, tried again, refused with words."""

import time

import pytest

from aha.engine.endpoint import Endpoint, read_replies
from aha.engine.replies import Reply, ReplyCache, Usage, parted, request_hash
from aha.engine.types import SamplingParams
from aha.errors import UserError
from tests.engine.chat_server import ChatServer

PARAMS = SamplingParams(temperature=0.6, top_p=0.95, max_new_tokens=64, stop=("###",))


def ask(*questions):
    return [[{"role": "user", "content": question}] for question in questions]


def echo(body):
    return "you said " + body["messages"][-1]["content"]


def endpoint(server, model="tutor", **options):
    return Endpoint(server.url, model, **{"backoff_seconds": 0.01, **options})


def test_replies_come_in_the_order_of_the_questions():
    def slowly_first(body):
        time.sleep(0.1 if body["messages"][-1]["content"] == "0" else 0.0)
        return echo(body)

    with ChatServer(slowly_first) as server:
        replies = endpoint(server, most_at_once=4).complete(ask(*"0123456789"), PARAMS, seed=5)
    assert [reply.text for reply in replies] == [f"you said {n}" for n in range(10)]
    assert 2 <= server.most_at_once <= 4
    assert all(reply.is_whole for reply in replies)
    assert server.bodies[0] == {
        "model": "tutor", "messages": ask(server.prompts()[0])[0], "seed": 5,
        "temperature": 0.6, "top_p": 0.95, "max_tokens": 64, "stop": ["###"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "I add.\n", "content": "\n5"},
        {"reasoning": "I add.", "content": "5"},
        {"content": "<think>\nI add.\n</think>\n\n5"},
        {"content": [{"type": "text", "text": "<think>I add.</think>"}, {"text": "5"}]},
    ],
)
def test_thoughts_are_told_from_the_answer(message):
    with ChatServer(lambda _: {**message, "finish_reason": "length"}) as server:
        (reply,) = endpoint(server).complete(ask("2 + 3?"), PARAMS)
    assert (reply.text, reply.reasoning, reply.finish_reason) == ("5", "I add.", "length")
    assert reply.usage == Usage(prompt_tokens=7, completion_tokens=5, reasoning_tokens=3)
    assert parted(reply.response) == ("5", "I add.")
    assert not reply.is_whole


def test_several_samples_also_of_a_server_that_gives_one_at_a_time():
    with ChatServer(lambda body: [str(body["seed"])] * body.get("n", 1)) as server:
        together = endpoint(server).sample(ask("a"), PARAMS, samples=3, seed=10)
    assert len(server.bodies) == 1 and server.bodies[0]["n"] == 3
    with ChatServer(lambda body: str(body["seed"])) as server:
        one_by_one = endpoint(server).sample(ask("a"), PARAMS, samples=3, seed=10)
    assert [body["seed"] for body in server.bodies] == [10, 11, 12]
    assert [r.text for r in one_by_one[0]] == ["10", "11", "12"]
    assert len(together[0]) == 3
    total = sum((reply.usage for reply in together[0]), Usage())
    assert total.prompt_tokens == 7  # one request, counted once


def test_what_was_paid_for_is_not_asked_again(tmp_path):
    with ChatServer(echo) as server:
        for _ in range(2):  # a second process has a cache object of its own
            first = endpoint(server, cache=ReplyCache(tmp_path)).complete(ask("a", "b"), PARAMS)
        assert sorted(server.prompts()) == ["a", "b"]
        cached = endpoint(server, cache=ReplyCache(tmp_path))
        assert cached.complete(ask("a", "b"), PARAMS) == first
        for changed in ({"seed": 1}, {"samples": 2}):
            cached.sample(ask("a"), PARAMS, **changed)
        cached.complete(ask("a"), SamplingParams(temperature=0.7))
    assert len(server.bodies) == 2 + 1 + 2 + 1  # samples=2 took two requests of one reply


def test_a_stage_that_is_cut_short_keeps_the_replies_it_has(tmp_path):
    def failing(body):
        return echo(body) if body["messages"][-1]["content"] != "c" else (400, {"error": "no c"})

    with ChatServer(failing) as server:
        with pytest.raises(UserError, match="no c"):
            endpoint(server, cache=ReplyCache(tmp_path), most_at_once=1).complete(
                ask("a", "b", "c"), PARAMS
            )
        server.answer = echo
        replies = endpoint(server, cache=ReplyCache(tmp_path)).complete(ask("a", "b", "c"), PARAMS)
    assert [reply.text[-1] for reply in replies] == ["a", "b", "c"]
    assert sorted(server.prompts()) == ["a", "b", "c", "c"]


def test_a_damaged_cache_file_is_asked_anew(tmp_path):
    cache, request = ReplyCache(tmp_path), {"messages": ["a"]}
    cache.put(request, [Reply(text="x", reasoning="y", usage=Usage(prompt_tokens=2))])
    assert cache.get(request) == [Reply(text="x", reasoning="y", usage=Usage(prompt_tokens=2))]
    (file,) = tmp_path.glob("*/*.json")
    assert file.stem == request_hash(request)
    file.write_text(file.read_text()[:-9])
    assert cache.get(request) is None


def test_a_key_is_sent_and_never_stored(tmp_path, monkeypatch):
    monkeypatch.setenv("TUTOR_KEY", "sesame")
    monkeypatch.setenv("AHA_CACHE", str(tmp_path))
    with ChatServer(echo, key="sesame") as server:
        found = Endpoint.parse(f"{server.reference}?key=TUTOR_KEY")
        assert found.complete(ask("a"), PARAMS)[0].text == "you said a"
    assert server.keys == ["Bearer sesame"]
    stored = [file.read_text() for file in tmp_path.rglob("*.json")]
    assert len(stored) == 1 and "sesame" not in stored[0]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(status):
    with ChatServer(lambda body: (status, {"error": "busy"}, {"Retry-After": "0.05"})) as server:

        def third_time(body):
            return echo(body) if len(server.bodies) == 3 else (status, {"error": "busy"})

        server.answer = third_time
        assert endpoint(server).complete(ask("a"), PARAMS)[0].text == "you said a"
    assert len(server.bodies) == 3


def test_the_pause_that_a_server_asks_for_is_kept():
    with ChatServer(echo) as server:
        server.answer = lambda body: (
            (429, {}, {"Retry-After": "0.3"}) if len(server.bodies) == 1 else echo(body)
        )
        started = time.monotonic()
        endpoint(server).complete(ask("a"), PARAMS)
    assert time.monotonic() - started >= 0.3


def test_a_server_that_stays_busy_is_an_error_with_its_words():
    with (
        ChatServer(lambda _: (429, {"error": {"message": "slow down"}})) as server,
        pytest.raises(UserError, match=r"429: slow down \(3 attempts\)") as caught,
    ):
        endpoint(server, max_retries=2).complete(ask("a"), PARAMS)
    assert "goes on from here" in caught.value.hint


def test_a_late_answer_is_asked_for_again():
    with ChatServer(echo) as server:

        def late(body):
            time.sleep(0.5 if len(server.bodies) == 1 else 0)
            return echo(body)

        server.answer = late
        client = endpoint(server, timeout_seconds=0.2)
        assert client.complete(ask("a"), PARAMS)[0].text == "you said a"


def test_no_server_is_told_soon():
    with ChatServer(echo) as server:
        url = server.url
    with pytest.raises(UserError, match=r"cannot be reached: .* \(3 attempts\)") as caught:
        Endpoint(url, "tutor", backoff_seconds=0.01).complete(ask("a"), PARAMS)
    assert "running" in caught.value.hint


def test_a_wrong_key_names_the_variable(monkeypatch):
    monkeypatch.delenv("AHA_API_KEY", raising=False)
    with ChatServer(echo, key="sesame") as server:
        with pytest.raises(UserError, match="AHA_API_KEY is not set") as caught:
            endpoint(server).complete(ask("a"), PARAMS)
        assert caught.value.hint == "export AHA_API_KEY=..."
        monkeypatch.setenv("AHA_API_KEY", "password")
        with pytest.raises(UserError, match="AHA_API_KEY is refused") as caught:
            endpoint(server).complete(ask("a"), PARAMS)
    assert "password" not in str(caught.value)


def test_an_unknown_model_names_the_nearest():
    with ChatServer(echo, models=("tutor-7b", "parrot")) as server:
        with pytest.raises(UserError, match="unknown model 'tutor-8b'") as caught:
            endpoint(server, "tutor-8b").complete(ask("a"), PARAMS)
        assert caught.value.hint == "did you mean tutor-7b?"
        with pytest.raises(UserError, match="it serves tutor-7b, parrot"):
            endpoint(server, "").complete(ask("a"), PARAMS)


def test_the_only_model_need_not_be_named():
    with ChatServer(echo) as server:
        assert Endpoint(server.url).complete(ask("a"), PARAMS)[0].text == "you said a"
    assert server.bodies[0]["model"] == "tutor"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((400, {"error": {"message": "maximum context length is 10 tokens"}}), "length"),
        ((400, {"error": {"message": "no", "code": "content_filter"}}), "content_filter"),
    ],
)
def test_one_text_that_cannot_be_answered_is_no_reason_to_stop(answer, reason):
    with ChatServer(lambda b: answer if "long" in echo(b) else echo(b)) as server:
        replies = endpoint(server).complete(ask("a", "long"), PARAMS)
    assert [(r.text, r.finish_reason) for r in replies] == [("you said a", "stop"), ("", reason)]


def test_the_newer_name_of_the_token_limit():
    def modern(body):
        if "max_tokens" in body:
            return 400, {"error": {"message": "use 'max_completion_tokens' instead"}}
        return echo(body)

    with ChatServer(modern) as server:
        assert endpoint(server).complete(ask("a"), PARAMS)[0].text == "you said a"
    assert server.bodies[-1]["max_completion_tokens"] == 64


def test_a_redirect_does_not_take_the_key_along(monkeypatch):
    monkeypatch.setenv("AHA_API_KEY", "sesame")
    with ChatServer(echo) as other, ChatServer(echo) as server:
        server.answer = lambda _: (307, {}, {"Location": f"{other.url}/chat/completions"})
        with pytest.raises(UserError, match="307: moved to"):
            endpoint(server).complete(ask("a"), PARAMS)
    assert not other.bodies


@pytest.mark.parametrize("answer", [{}, [], {"choices": []}, {"choices": "x"}, None, 3])
def test_another_kind_of_server_is_refused(answer):
    with pytest.raises(UserError, match="OpenAI-compatible"):
        read_replies(answer, "http://x")


@pytest.mark.parametrize("choice", [{}, None, 3, {"message": 3}, {"message": {"content": None}}])
def test_an_odd_choice_is_an_empty_reply(choice):
    (reply,) = read_replies({"choices": [choice], "usage": [1]}, "http://x")
    assert (reply.text, reply.reasoning) == ("", "")


def test_a_page_instead_of_json():
    with (
        ChatServer(lambda _: (200, b"<html>Welcome</html>")) as server,
        pytest.raises(UserError, match="no JSON: <html>Welcome"),
    ):
        endpoint(server).complete(ask("a"), PARAMS)


@pytest.mark.parametrize(
    "reference",
    [
        "endpoint:localhost:8000#m",
        "endpoint:ftp://a/v1#m",
        "endpoint:http://me:secret@host/v1#m",
        "endpoint:http://host:99999/v1#m",
        "endpoint:http://host/v1#m?kye=X",
        "endpoint:http://host/v1#m?key=no-name",
    ],
)
def test_wrong_references_are_refused_without_their_secrets(reference):
    with pytest.raises(UserError) as caught:
        Endpoint.parse(reference)
    assert caught.value.hint and "secret" not in f"{caught.value} {caught.value.hint}"


def test_what_no_endpoint_can_do_is_refused():
    with ChatServer(echo) as server, pytest.raises(UserError, match="forbid"):
        endpoint(server).complete(ask("a"), SamplingParams(forbidden_token_ids=(3,)))


def test_lone_surrogates_do_not_survive():
    (reply,) = read_replies({"choices": [{"message": {"content": "a\ud800b"}}]}, "x")
    assert reply.text == "a?b"
