"""The page answers the person who started it and nobody else."""

import http.client
import json
import re
from html.parser import HTMLParser

import pytest

from aha.errors import UserError
from aha.serve.label import Labelling
from aha.serve.local_page import LocalServer, page_of
from aha.serve.review import Review

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def desk(tmp_path):
    row = {"prompt": "Hello", "answers": ["<script>a</script>", "b"]}
    (tmp_path / "a<b>.jsonl").write_text(json.dumps(row) + "\n")
    desk = Labelling(tmp_path / "a<b>.jsonl")
    yield desk
    desk.decisions.close()


@pytest.fixture
def server(desk):
    with LocalServer(desk) as server:
        yield server


def request(server, path, *, method="GET", body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data, answer.headers


def test_only_this_machine_can_reach_it(server):
    assert server._http.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 24


@pytest.mark.parametrize("path", ["/", "/state", "/x/state", "//state", "/{half}/state"])
def test_without_the_secret_there_is_nothing(server, path):
    path = path.format(half=server.token[:12])
    assert request(server, path)[:2] == (404, b"not found")


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Origin": "http://evil.example"},
     {"Origin": "null"}, {"Host": ""}],
)  # fmt: skip
def test_another_site_in_the_same_browser_gets_nothing(server, headers):
    path = f"/{server.token}/state"
    assert request(server, path, headers=headers)[0] == 404
    assert request(server, path)[0] == 200
    own = {"Origin": f"http://127.0.0.1:{server.port}"}
    assert request(server, path, headers=own)[0] == 200


def test_the_page_loads_nothing_and_runs_only_its_own_script(server):
    status, data, headers = request(server, f"/{server.token}/?at=1")
    text = data.decode()
    assert status == 200 and headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY" and headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in text and "script-src 'sha256-" in text
    assert "a&lt;b&gt;.jsonl" in text and "a<b>" not in text
    loading = Loading()
    loading.feed(text)
    assert loading.found == ["data:,"] and loading.handlers == []


class Loading(HTMLParser):
    """What a page would load, and code in attributes."""

    def __init__(self):
        super().__init__()
        self.found, self.handlers = [], []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_the_scripts_never_make_markup_of_text(desk):
    scripts = re.findall(r"<script>(.*?)</script>", page_of(desk).decode(), re.DOTALL)
    assert scripts and not re.search(r"innerHTML|outerHTML|insertAdjacent|\beval\b", scripts[0])


@pytest.mark.parametrize(
    ("path", "body", "headers", "words"),
    [
        ("decide/0", b"{", JSON, "JSON object"),
        ("decide/0", b"[]", JSON, "nothing here"),
        ("decide/0", b'{"decision": 3}', JSON, "-2 to 2"),
        ("decide/0", b'{"decision": true}', JSON, "-2 to 2"),
        ("decide/0", b'{"decision": 1}', {"Content-Type": "text/plain"}, "JSON object"),
        ("decide/1", b'{"decision": 1}', JSON, "no item"),
        ("decide/-1", b'{"decision": 1}', JSON, "no item"),
        ("state", b"{}", JSON, "no item"),
    ],
)
def test_what_is_no_decision_is_refused_with_words(server, desk, path, body, headers, words):
    path = f"/{server.token}/{path}"
    status, data, _ = request(server, path, method="POST", body=body, headers=headers)
    assert status == 400 and words in json.loads(data)["error"]
    assert desk.decisions.latest == {}


def test_a_large_body_is_not_read(server):
    headers = {**JSON, "Content-Length": str(1 << 40)}
    status, _, _ = request(
        server, f"/{server.token}/decide/0", method="POST", body=b"{}", headers=headers
    )
    assert status == 400


def test_a_port_that_is_taken(server, desk):
    with pytest.raises(UserError, match=f"port {server.port}"):
        LocalServer(desk, port=server.port)


def test_both_pages_are_whole(tmp_path, desk):
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    (tmp_path / "r.jsonl").write_text(json.dumps(row) + "\n")
    review = Review(tmp_path / "r.jsonl")
    for one in (review, desk):
        text = page_of(one).decode()
        assert "$" not in re.sub(r"<script>.*?</script>|<style>.*?</style>", "", text, flags=re.S)
        ids = set(re.findall(r'id="(\w+)"', text))
        assert set(re.findall(r'\$\("(\w+)"\)', text)) <= ids
    review.decisions.close()
