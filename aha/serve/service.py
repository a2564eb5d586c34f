"""One thread that decodes for everybody who asks: requests enter the running batch as they come."""

import hashlib
import secrets
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from aha.engine.sampling import row_keys
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.model.hf_folder import LoadedModel
from aha.serve.live_batch import LiveBatch, Row
from aha.serve.prompt_reader import Prompt
from aha.serve.text_stream import TextStream

FLUSH_SECONDS = 0.02
"""How often a reader of a stream is woken: a small model writes a thousand tokens a second."""


class Busy(Exception):
    """Too many rows wait."""


class Closed(Exception):
    """The service has ended."""


class TooLong(UserError):
    """A prompt that leaves no room for an answer."""


@dataclass(eq=False, slots=True)
class Job:
    """The rows of one request: `samples` of each prompt, in order."""

    rows: list[Row]
    prompt_tokens: int
    is_streamed: bool
    changed: threading.Event = field(default_factory=threading.Event)
    """Set when there may be something new to read."""
    failure: str = ""
    """Why the service gave it up."""

    @property
    def is_over(self) -> bool:
        return bool(self.failure) or all(row.is_over for row in self.rows)

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        for row in self.rows:
            row.is_cancelled = True


@dataclass(slots=True)
class Counters:
    """What has been done since the start."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    rows: int = 0
    cancelled_rows: int = 0
    displaced_rows: int = 0
    busy_seconds: float = 0.0


class EngineService:
    """Decodes in a thread of its own until `close`."""

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        max_rows: int = 32,
        max_waiting: int = 512,
        context_tokens: int | None = None,
        num_threads: int = 1,
    ):
        """max_rows: completions decoded at once. max_waiting: more that may wait for a place.

        num_threads: of the processor; with 1 the compiled steps serve, where there is a compiler.
        """
        torch.set_num_threads(num_threads)
        self.tokenizer, self.config = loaded.tokenizer, loaded.config
        longest = loaded.config.max_positions
        self.context_tokens = min(context_tokens or longest, longest)
        self.max_waiting, self.counters = max_waiting, Counters()
        eos = [token for token in loaded.tokenizer.eos_token_ids if token < self.config.vocab_size]
        with torch.inference_mode():
            self.batch = LiveBatch(
                loaded.model,
                eos_token_ids=eos,
                context_tokens=self.context_tokens,
                max_rows=max_rows,
            )
        self._num_threads = num_threads
        self._waiting: deque[Row] = deque()
        self._jobs: list[Job] = []
        self._wake = threading.Condition()
        self._is_closed = False
        self._flushed = 0.0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_open(self) -> bool:
        return not self._is_closed and self._thread.is_alive()

    def submit(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        *,
        samples: int = 1,
        seed: int | None = None,
        is_streamed: bool = False,
    ) -> Job:
        """Ask for completions. Raises UserError, TooLong, Busy, Closed.

        A token depends on the weights, the prompt, the parameters, the seed (None: drawn), and the
        sample's number alone. `params` are those of a checked request.
        """
        for ids in prompts:
            self._check(ids)
        seed = secrets.randbits(63) if seed is None else seed
        rows = [row for ids in prompts for row in self._rows(ids, params, samples, seed)]
        job = Job(rows, sum(map(len, prompts)), is_streamed)
        with self._wake:
            if self._is_closed:
                raise Closed
            if self._waiting and len(self._waiting) + len(rows) > self.max_waiting:
                raise Busy
            self._waiting += rows
            self._jobs.append(job)
            self.counters.prompt_tokens += job.prompt_tokens
            self.counters.rows += len(rows)
            self._wake.notify()
        return job

    def close(self) -> None:
        """Give up what is not finished and end the thread."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        self._thread.join()

    def _check(self, ids: Sequence[int]) -> None:
        if not ids:
            raise UserError("the prompt is empty")
        if len(ids) >= self.context_tokens:
            raise TooLong(
                f"this model's maximum context length is {self.context_tokens} tokens, "
                f"the prompt has {len(ids)}",
                hint="shorten the conversation",
            )
        if min(ids) < 0 or max(ids) >= self.config.vocab_size:
            raise UserError(f"token ids are from 0 to {self.config.vocab_size - 1}")

    def _rows(
        self, ids: Sequence[int], params: SamplingParams, samples: int, seed: int
    ) -> list[Row]:
        """The rows of one prompt, which they share."""
        prompt = Prompt(ids)
        keys = row_keys(
            seed=seed, step=0, prompt_keys=[prompt_key(ids)] * samples, samples=range(samples)
        )
        draws = SamplingParams(
            temperature=params.temperature,
            top_p=params.top_p,
            top_k=params.top_k,
            min_p=params.min_p,
        )
        return [
            Row(
                prompt=prompt,
                draws=draws,
                limit=min(params.max_new_tokens, self.context_tokens - len(ids)),
                key=int(key),
                stop_text=TextStream(self.tokenizer, params.stop) if params.stop else None,
            )
            for key in keys
        ]

    def _run(self) -> None:
        torch.set_num_threads(self._num_threads)
        with torch.inference_mode():
            while self._has_work():
                started = time.perf_counter()
                try:
                    self._turn()
                except Exception as error:  # ours: told on both sides, the service goes on
                    traceback.print_exc(file=sys.stderr)
                    self._give_up(f"the server failed: {type(error).__name__}: {error}")
                self.counters.busy_seconds += time.perf_counter() - started
            self._give_up("the server is shutting down")

    def _has_work(self) -> bool:
        """Wait for a row; False when the service is closed."""
        with self._wake:
            while not (self._is_closed or self._waiting or self.batch.num_rows):
                self._wake.wait()
            return not self._is_closed

    def _turn(self) -> None:
        """Let rows in, draw a token of each, tell who waits."""
        self.batch.admit(self._waiting)
        drawn = self.batch.num_rows
        ended, displaced = self.batch.step()
        self._waiting.extendleft(reversed(displaced))
        self.counters.completion_tokens += drawn
        self.counters.displaced_rows += len(displaced)
        now = time.monotonic()
        if ended or now >= self._flushed + FLUSH_SECONDS:
            self._flushed = now
            self._tell()

    def _tell(self) -> None:
        """Wake whoever reads a stream, or waits for a job that is over."""
        over = {job for job in self._jobs if job.is_over}
        for job in self._jobs:
            if job.is_streamed or job.is_over:
                job.changed.set()
        with self._wake:
            self._jobs = [job for job in self._jobs if job not in over]
        self.counters.cancelled_rows += sum(row.is_cancelled for job in over for row in job.rows)

    def _give_up(self, reason: str) -> None:
        with self._wake:
            jobs, self._jobs = self._jobs, []
            self._waiting.clear()
        self.batch.clear()
        for job in jobs:
            job.failure = reason
            job.changed.set()


def prompt_key(token_ids: Sequence[int]) -> int:
    """A number for a prompt, so that equal seeds draw other numbers for other prompts."""
    digest = hashlib.sha256(np.array(token_ids, np.int64).tobytes()).digest()
    return int.from_bytes(digest[:8], "little")
