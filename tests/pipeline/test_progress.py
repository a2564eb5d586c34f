"""What a person sees of a run."""

import contextlib
import io
import os

from aha.pipeline.progress import Progress, format_seconds


def lines_of(act):
    stream = io.StringIO()
    act(Progress(stream=stream))
    return stream.getvalue().splitlines()


def test_steps_have_fixed_columns_under_one_header():
    def act(log):
        for step, value in ((1, 0.5), (2, -12345.678), (300, 0)):
            log.step(step, 300, {"reward": value, "length_tokens": 41.25, "note": "x"})

    header, *rows = lines_of(act)
    assert header.split() == ["step", "reward", "length_tokens", "note", "s/step", "left"]
    assert [row.split()[:3] for row in rows] == [
        ["1/300", "0.500", "41.250"],
        ["2/300", "-1.23e+04", "41.250"],
        ["300/300", "0.000", "41.250"],
    ]
    assert len({len(line) for line in [header, *rows]}) == 1


def test_new_columns_bring_a_new_header():
    def act(log):
        log.step(1, 2, {"a": 1})
        log.step(2, 2, {"b": 1})

    assert [line.split()[0] for line in lines_of(act)] == ["step", "1/2", "step", "2/2"]


def test_a_sample_is_shown_and_not_obeyed():
    """Escape codes of a model's text must not reach the terminal; long text is cut."""

    def act(log):
        log.sample(
            "2 + 2?", "\x1b[31mred\x07\n" + "long " * 1000, {"accuracy": 1.0}, verdict="wrong: no"
        )

    lines = lines_of(act)
    text = "\n".join(lines)
    assert "\x1b" not in text and "\x07" not in text and "?[31mred?" in text
    assert len(lines) < 20 and max(map(len, lines)) <= 100
    assert lines[-1].strip() == "= accuracy 1  (wrong: no)"


def test_silence_on_other_ranks():
    stream = io.StringIO()
    log = Progress(enabled=False, stream=stream)
    log.note("x")
    log.step(1, 2, {"a": 1.0})
    log.sample("q", "a", {})
    assert stream.getvalue() == ""


def test_a_closed_terminal_does_not_stop_a_run():
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    log = Progress(stream=stream)
    log.note("x")
    assert not log.enabled
    log.note("y")
    with contextlib.suppress(BrokenPipeError):
        stream.close()


def test_durations():
    seconds = [0, 0.4, 59.4, 60, 185, 3600, 7805, -3]
    shown = ["0s", "0s", "59s", "1m00s", "3m05s", "1h00m", "2h10m", "0s"]
    assert list(map(format_seconds, seconds)) == shown


def test_what_was_done_before_takes_this_process_no_time(monkeypatch):
    clock = iter([0.0, 100.0, 110.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    stream = io.StringIO()
    log = Progress(stream=stream, _started=next(clock))
    log.begin(60)
    log.step(80, 100, {"x": 1.0})
    assert stream.getvalue().splitlines()[-1].split() == ["80/100", "1.000", "0.5", "10s"]
