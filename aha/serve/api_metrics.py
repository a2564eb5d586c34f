"""Counters of a server, as Prometheus reads them."""

import threading
import time
from collections import Counter
from collections.abc import Iterator

from aha.serve.service import EngineService


class Metrics:
    """What a server has done since its start."""

    def __init__(self, service: EngineService):
        self._service, self._started = service, time.monotonic()
        self._answers: Counter[int] = Counter()
        self._lock = threading.Lock()

    def count(self, status: int) -> None:
        """One more answer."""
        with self._lock:
            self._answers[status] += 1

    def text(self) -> str:
        """In Prometheus' text format."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        service, counters = self._service, self._service.counters
        yield "# TYPE aha_answers_total counter"
        with self._lock:
            answers = sorted(self._answers.items())
        for status, count in answers:
            yield f'aha_answers_total{{status="{status}"}} {count}'
        for name, kind, value in (
            ("prompt_tokens_total", "counter", counters.prompt_tokens),
            ("known_prompt_tokens_total", "counter", service.batch.reader.num_found),
            ("completion_tokens_total", "counter", counters.completion_tokens),
            ("completions_total", "counter", counters.rows),
            ("cancelled_completions_total", "counter", counters.cancelled_rows),
            ("displaced_completions_total", "counter", counters.displaced_rows),
            ("decoding_steps_total", "counter", service.batch.num_steps),
            ("busy_seconds_total", "counter", round(counters.busy_seconds, 3)),
            ("rows_running", "gauge", service.batch.num_rows),
            ("rows_waiting", "gauge", service.num_waiting),
            ("uptime_seconds", "gauge", round(time.monotonic() - self._started, 3)),
        ):
            yield f"# TYPE aha_{name} {kind}"
            yield f"aha_{name} {value}"
