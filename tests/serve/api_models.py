"""Models small enough to serve in a test: one that draws at random, one that says what is written.

The second has no attention and no MLP: what it says next depends on the last token alone.
"""

import contextlib
import http.client
import json

import torch
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from aha.model.config import ModelConfig
from aha.model.decoder import Decoder
from aha.model.hf_folder import LoadedModel
from aha.model.tokenizer import Tokenizer
from aha.serve.api import Api
from aha.serve.api_http import ApiServer
from aha.serve.service import EngineService
from tests.trainers.tiny import tiny_model, tiny_tokenizer

END = "<end>"
SCRIPTS = {
    "ask": ["<thi", "nk>\n", "be", "cause", " so\n</", "think", ">\n\n", "forty", "-two", END],
    "plain": ["just", " text", END],
    "open": ["<think>", "on", " and"],
    "zero": [" <think>x</think>", " <ans", "wer>7", "</answer>", END],
    "half": ["\U0001f600", "!", END],
}
LOOPS = {" and": "on"}
"""What never ends."""


def random_model(*, width: int = 64) -> LoadedModel:
    """Width 64 has compiled attention, 32 has not."""
    model = tiny_model(width=width)
    return LoadedModel(model=model, tokenizer=tiny_tokenizer(), config=model.config)


def script_model(*, chat_template: str | None = None, context: int = 256) -> LoadedModel:
    """Answers each start word of SCRIPTS with its script."""
    following = dict(LOOPS)
    for start, script in SCRIPTS.items():
        following.update(zip([start, *script], script, strict=False))
    words = list(dict.fromkeys([END, "?", *following, *following.values()]))
    model = Decoder(
        ModelConfig(
            vocab_size=len(words),
            hidden_size=64,
            intermediate_size=32,
            num_layers=1,
            num_heads=2,
            num_kv_heads=1,
            head_dim=32,
            max_positions=context,
            eos_token_ids=(0,),
            tie_embeddings=False,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0 if parameter.ndim == 1 else 0.0)
        model.model.embed_tokens.weight[:, : len(words)] = torch.eye(len(words))
        for word, after in following.items():
            model.head_weight[words.index(after), words.index(word)] = 10.0
    backend = Backend(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.decoder = decoders.Fuse()
    backend.add_special_tokens([END])
    tokenizer = Tokenizer(backend, eos_token=END, chat_template=chat_template)
    return LoadedModel(model=model, tokenizer=tokenizer, config=model.config)


@contextlib.contextmanager
def serving(loaded, *, key="", name="tiny", template="none", unwraps_answer=False, **options):
    """A server of a model on a free port."""
    service = EngineService(loaded, **options)
    api = Api(service, name=name, template=template, unwraps_answer=unwraps_answer)
    with ApiServer(api, key=key) as server:
        yield server


def request(server, method, path, body=None, **headers):
    """(status, JSON or text, headers)."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    connection.request(method, path, data, {**kind, **headers})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    is_json = answer.headers.get("Content-Type", "").startswith("application/json")
    return answer.status, json.loads(text) if is_json else text, answer.headers


def chat(server, content, **options):
    """The answer to one question."""
    messages = [{"role": "user", "content": content}]
    body = {"model": "tiny", "messages": messages, **options}
    status, answer, _ = request(server, "POST", "/v1/chat/completions", body)
    assert status == 200, answer
    return answer


def stream(server, content, *, path="/v1/chat/completions", **options):
    """The pieces of a streamed answer; the end mark has to be there."""
    body = {"model": "tiny", "stream": True, **options}
    if path.endswith("chat/completions"):
        body["messages"] = [{"role": "user", "content": content}]
    else:
        body["prompt"] = content
    status, text, headers = request(server, "POST", path, body)
    assert status == 200 and headers["Content-Type"].startswith("text/event-stream")
    *events, done, rest = text.split("\n\n")
    assert done == "data: [DONE]" and rest == ""
    return [json.loads(event.removeprefix("data: ")) for event in events]


def message_of(pieces, index=0):
    """(reasoning, content, finish reason) put together from a stream's pieces."""
    said, reason = {"reasoning_content": "", "content": ""}, None
    for piece in pieces:
        for choice in piece["choices"]:
            if choice["index"] == index:
                for name, text in choice["delta"].items():
                    if name in said:
                        said[name] += text
                reason = choice["finish_reason"] or reason
    return said["reasoning_content"], said["content"], reason
