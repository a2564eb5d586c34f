"""Continuous batching: which rows are decoded, when they enter and when they leave.

A row is one completion. Rows sit in the first R of S slots. A finished row leaves its slot at
once; waiting rows take free slots as soon as a sixteenth of them is free (prompts are prefilled
together), and when none waits the last rows move into the gaps, so that R shrinks.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aha.engine.cache import Cache, Prefilled
from aha.engine.decode import Stepper
from aha.engine.native_cache import NativeCache
from aha.engine.native_step import Drawing
from aha.engine.sampling import draw, plain, uniforms
from aha.engine.stops import Stops
from aha.engine.types import Completion, EngineStats, SamplingParams
from aha.errors import HealthError

PREFILL_TOKENS = 8192
AHEAD_TOKENS = 1024
"""Of prompts that come next and are prefilled along: 16 rows need few new prompts at a time, and
each call costs operators and a layout. Sampling was 10% to 17% faster than without."""
PROGRESS_EVERY = 16
ENOUGH_FRACTION = 8
"""The library goes on until an eighth of the rows have ended: coming back costs half a
millisecond, as much as a step of 16 rows."""
MOST_STEPS = 64
"""That the library makes in one call, so that an interrupt is heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Every completion to sample; row i of the arrays is one of them, in order of the prompts."""

    prompts: Sequence[Sequence[int]]
    prompt: np.ndarray
    """Index into `prompts`."""
    keys: np.ndarray
    limits: np.ndarray
    """Most new tokens."""
    num_shared: int
    """Leading tokens that all prompts have in common and that are held once."""

    @property
    def most_prompt_tokens(self) -> int:
        """Of the longest prompt, without what is shared."""
        return max(len(prompt) for prompt in self.prompts) - self.num_shared

    @property
    def most_new_tokens(self) -> int:
        return int(self.limits.max())


class Slots:
    """The rows in decoding. Arrays are indexed by slot; a free slot has request -1."""

    def __init__(self, num_slots: int, num_new_tokens: int, width: int, device: torch.device):
        self.request = np.full(num_slots, -1)
        self.active = np.zeros(num_slots, np.uint8)
        """Whether the row goes on."""
        self.num_new = np.zeros(num_slots, np.int64)
        self.position = np.zeros(num_slots, np.int64)
        self.limit = np.ones(num_slots, np.int64)
        self.key = np.zeros(num_slots, np.uint64)
        self.tokens = torch.zeros(num_slots, num_new_tokens, dtype=torch.int64, device=device)
        self.logprobs = torch.zeros(num_slots, num_new_tokens, device=device)
        self.hidden = torch.zeros(num_slots, width, device=device)
        self.last = torch.zeros(num_slots, dtype=torch.int64, device=device)
        self.num_rows = 0

    @property
    def alive(self) -> np.ndarray:
        return self.request[: self.num_rows] >= 0

    def shrink(self) -> None:
        """Forget free slots at the end."""
        used = np.flatnonzero(self.request >= 0)
        self.num_rows = int(used[-1]) + 1 if len(used) else 0

    def release(self, slots: np.ndarray) -> None:
        self.request[slots] = -1
        self.active[slots] = 0
        self.num_new[slots] = 0
        self.position[slots] = 0

    def gaps(self) -> tuple[np.ndarray, np.ndarray]:
        """Slots to move (sources, targets) so that the rows in use are the first ones."""
        alive = self.alive
        num_alive = int(alive.sum())
        return np.flatnonzero(alive[num_alive:]) + num_alive, np.flatnonzero(~alive[:num_alive])

    def move(self, source: np.ndarray, target: np.ndarray) -> None:
        for array in (self.request, self.active, self.num_new, self.position, self.limit, self.key):
            array[target] = array[source]
        for tensor in (self.tokens, self.logprobs, self.last):
            tensor[target] = tensor[source]
        self.release(source)


class Rollout:
    """One `generate`: the loop of admit, sample, and advance."""

    def __init__(
        self,
        stepper: Stepper,
        requests: Requests,
        params: SamplingParams,
        stops: Stops,
        cache: Cache,
        on_progress: Callable[[EngineStats], None] | None = None,
    ):
        self.stepper, self.requests, self.params, self.stops = stepper, requests, params, stops
        self.cache, self.on_progress = cache, on_progress
        self.device = stepper.device
        most, width = requests.most_new_tokens, stepper.config.hidden_size
        self.slots = Slots(cache.num_slots, most, width, self.device)
        self.results: list[Completion | None] = [None] * len(requests.prompt)
        self.next_request = 0
        self.prefilled: dict[int, tuple[Prefilled, int]] = {}
        self.prefix = self._prefix()
        cache.set_prefix(self.prefix)
        self.drawing = self._drawing()
        self.new_tokens = self.num_steps = self.num_done = self.num_reported = 0
        self.started = time.perf_counter()

    def run(self) -> list[Completion]:
        """Sample every request."""
        while self.num_done < len(self.results):
            self._admit()
            finished = self._sample()
            if len(finished):
                self._finish(finished)
            if self.slots.num_rows:
                self._advance()
            self._report()
        if self.on_progress:
            self.on_progress(self.stats())
        return [result for result in self.results if result is not None]

    def _report(self) -> None:
        if self.on_progress and self.num_steps >= self.num_reported + PROGRESS_EVERY:
            self.num_reported = self.num_steps
            self.on_progress(self.stats())

    def stats(self) -> EngineStats:
        return EngineStats(
            num_rows=len(self.results),
            num_done=self.num_done,
            prompt_tokens=sum(len(prompt) for prompt in self.requests.prompts),
            shared_tokens=self.requests.num_shared,
            new_tokens=self.new_tokens,
            num_steps=self.num_steps,
            seconds=time.perf_counter() - self.started,
        )

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _prefix(self) -> Prefilled | None:
        num_shared = self.requests.num_shared
        if num_shared == 0:
            return None
        tokens = torch.tensor([list(self.requests.prompts[0][:num_shared])], device=self.device)
        return self.stepper.prefill(tokens, torch.tensor([num_shared], device=self.device))

    def _drawing(self) -> Drawing | None:
        """Many steps in one call of the library, where nothing but plain draws is asked for."""
        program, requests = self.stepper.program, self.requests
        if program is None or not isinstance(self.cache, NativeCache) or not plain(self.params):
            return None
        drawing = Drawing(program, self.cache, self.slots)
        longest = max(len(prompt) for prompt in requests.prompts) + requests.most_new_tokens
        ends = np.where(self.stops.eos_table, 1, 2 * self.stops.text_table).astype(np.uint8)
        turns = self.stepper.turns(longest)
        drawing.set_rules(turns, torch.from_numpy(ends), self.params.temperature)
        return drawing

    def _admit(self) -> None:
        """Give free slots to waiting rows."""
        waiting = len(self.results) - self.next_request
        free = np.flatnonzero(self.slots.request < 0)
        if waiting == 0 or len(free) < min(waiting, max(1, len(self.slots.request) // 16)):
            return
        number = min(waiting, len(free))
        requests = np.arange(self.next_request, self.next_request + number)
        slots = free[:number]
        self.next_request += number
        prompts = self.requests.prompt[requests]
        missing = [int(p) for p in np.unique(prompts) if int(p) not in self.prefilled]
        self._prefill(missing + self._ahead(missing))
        for chunk in {id(self.prefilled[int(p)][0]): int(p) for p in prompts}.values():
            batch = self.prefilled[chunk][0]
            inside = np.array([self.prefilled[int(p)][0] is batch for p in prompts])
            self._place(requests[inside], slots[inside], batch)
        following = self.requests.prompt[self.next_request :][:1].tolist() or [len(self.results)]
        self.prefilled = {p: at for p, at in self.prefilled.items() if p >= following[0]}
        self.slots.shrink()

    def _ahead(self, missing: list[int]) -> list[int]:
        """Prompts after the missing ones, up to so many tokens with them."""
        start, end = self.requests.num_shared, len(self.requests.prompts)
        room = AHEAD_TOKENS - sum(len(self.requests.prompts[p]) - start for p in missing)
        ahead: list[int] = []
        for prompt in range(missing[-1] + 1 if missing else end, end):
            room -= len(self.requests.prompts[prompt]) - start
            if room < 0:
                break
            ahead.append(prompt)
        return ahead

    def _prefill(self, prompts: list[int]) -> None:
        """Run prompts that are new, in batches of a bounded number of tokens."""
        start = self.requests.num_shared
        own = {p: list(self.requests.prompts[p][start:]) for p in prompts}
        while prompts:
            batch: list[int] = []
            longest = 0
            while prompts:
                longest = max(longest, len(own[prompts[0]]))
                if batch and longest * (len(batch) + 1) > PREFILL_TOKENS:
                    break
                batch.append(prompts.pop(0))
            lengths = torch.tensor([len(own[p]) for p in batch], device=self.device)
            width = int(lengths.max())
            rows = [own[p] + [0] * (width - len(own[p])) for p in batch]
            tokens = torch.tensor(rows, device=self.device)
            result = self.stepper.prefill(tokens, lengths, self.prefix)
            self.prefilled.update({p: (result, index) for index, p in enumerate(batch)})

    def _place(self, requests: np.ndarray, slots: np.ndarray, batch: Prefilled) -> None:
        """Start rows of prompts that were prefilled together."""
        prompts = self.requests.prompt[requests]
        source = self._tensor(np.array([self.prefilled[int(p)][1] for p in prompts]))
        lengths = np.array([len(self.requests.prompts[p]) for p in prompts])
        lengths -= self.requests.num_shared
        state = self.slots
        state.request[slots], state.active[slots], state.num_new[slots] = requests, 1, 0
        state.position[slots] = lengths
        state.limit[slots] = self.requests.limits[requests]
        state.key[slots] = self.requests.keys[requests]
        where = self._tensor(slots)
        state.hidden[where] = batch.hidden_ND[source]
        self.cache.fill(where, batch, source, self._tensor(lengths))

    def _sample(self) -> np.ndarray:
        """Draw the next token of every row; returns the slots that are finished."""
        state, rows = self.slots, self.slots.num_rows
        if self.drawing is not None:
            self._draw_many(self.drawing)
        else:
            self._draw_one()
        alive, drawn = state.alive, state.last[:rows].cpu().numpy()
        done = self.stops.eos_table[drawn] | (state.num_new[:rows] >= state.limit[:rows])
        for slot in np.flatnonzero(self.stops.text_table[drawn] & alive & ~done).tolist():
            done[slot] = self.stops.completes_string(self._tokens(slot))
        return np.flatnonzero(done & alive)

    def _draw_many(self, drawing: Drawing) -> None:
        """Draw and advance in turn, until after a draw some rows are finished or one may be."""
        state, rows = self.slots, self.slots.num_rows
        before, enough = int(state.num_new[:rows].sum()), max(1, rows // ENOUGH_FRACTION)
        most_steps = PROGRESS_EVERY if self.on_progress else MOST_STEPS
        num_steps = drawing.draw(enough=enough, most_steps=most_steps)
        self.num_steps += abs(num_steps) - 1
        self.new_tokens += int(state.num_new[:rows].sum()) - before
        self._check_finite(num_steps > 0)

    def _draw_one(self) -> None:
        """Draw the next token of every row."""
        state, rows, alive = self.slots, self.slots.num_rows, self.slots.alive
        logits = self.stepper.logits(state.hidden[:rows])
        uniform = self._tensor(uniforms(state.key[:rows], state.num_new[:rows]))
        tokens, logprobs = draw(logits, uniform, self.params)
        self._check_finite(bool(torch.isfinite(logprobs).all()))
        column = self._tensor(state.num_new[:rows])[:, None]
        state.tokens[:rows].scatter_(1, column, tokens[:, None])
        state.logprobs[:rows].scatter_(1, column, logprobs[:, None])
        state.last[:rows] = tokens
        state.num_new[:rows] += alive
        self.new_tokens += int(alive.sum())

    def _check_finite(self, finite: bool) -> None:
        if not finite:
            raise HealthError(
                f"the model's logits are not finite after {self.new_tokens} sampled tokens",
                hint="its weights hold inf or nan: lower the learning rate and resume",
            )

    def _tokens(self, slot: int) -> list[int]:
        return self.slots.tokens[slot, : self.slots.num_new[slot]].tolist()

    def _finish(self, finished: np.ndarray) -> None:
        """Read out finished rows, free their slots, and close the gaps when nothing waits."""
        for slot in finished.tolist():
            token_ids = self._tokens(slot)
            text, stopped = self.stops.text(token_ids)
            self.results[self.slots.request[slot]] = Completion(
                token_ids=tuple(token_ids),
                logprobs=tuple(self.slots.logprobs[slot, : len(token_ids)].tolist()),
                text=text,
                finish_reason="stop" if stopped else "length",
            )
        self.num_done += len(finished)
        self.slots.release(finished)
        self.slots.shrink()
        rows = self.slots.num_rows
        if self.next_request == len(self.results) and rows:
            dead = rows - int(self.slots.alive.sum())
            if dead >= max(1, rows // 16):
                self._compact()

    def _compact(self) -> None:
        source, target = self.slots.gaps()
        num_tokens = int(self.slots.position[source].max())
        self.cache.move(self._tensor(source), self._tensor(target), num_tokens)
        self.slots.move(source, target)
        self.slots.shrink()

    def _advance(self) -> None:
        """Append the drawn tokens to the cache and compute the next hidden states."""
        state, rows = self.slots, self.slots.num_rows
        self.num_steps += 1
        if self.drawing is not None:
            self.drawing.advance()
            return
        positions = state.position[:rows]
        state.hidden[:rows] = self.stepper.step(
            state.last[:rows], self._tensor(positions), self.cache, int(positions.max()) + 1
        )
        state.position[:rows] += state.alive
