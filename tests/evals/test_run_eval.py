"""`aha eval` from the first sample to the file: same bytes however it was interrupted or shared."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aha.chat.grammar import THINK_OPEN
from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import HealthError, UserError
from aha.evals import backends
from aha.evals.backends import LocalBackend, opened, place_seed
from aha.evals.grading import regrade
from aha.evals.result import journal_path, load_result, timing_path
from aha.evals.run_eval import default_path, run, units
from aha.model.hf_folder import load_model
from aha.trainers.rollouts import Prompter
from tests.evals.evaluations import SILENT, letters_file, tiny_eval
from tests.trainers.tiny import tiny_model, tiny_tokenizer


@pytest.fixture
def small_units(monkeypatch):
    """Eight responses in a batch: two problems of four."""
    monkeypatch.setattr(backends, "SMALL_UNIT_ROWS", 8)


def evaluated(tmp_path, name="r.json", *, resume=True, **values):
    """The bytes of an evaluation's file."""
    run(tiny_eval(tmp_path, **values), out=tmp_path / name, resume=resume, log=SILENT)
    return (tmp_path / name).read_bytes()


@given(st.integers(0, 9), st.integers(1, 9), st.integers(1, 20))
def test_batches_hold_every_place_once_and_no_more_than_they_may(problems, samples, rows):
    found = list(units(problems, samples, rows))
    places = [place for unit in found for place in unit]
    assert places == [(p, s) for p in range(problems) for s in range(samples)]
    assert all(0 < len(unit) <= rows for unit in found)
    if samples <= rows:  # whole problems: a prompt is read once
        assert all(len(unit) % samples == 0 for unit in found)


def test_an_evaluation_holds_what_the_engine_draws(tmp_path):
    config = tiny_eval(tmp_path, seed=3)
    result = run(config, out=tmp_path / "r.json", log=SILENT)
    loaded = load_model(config.model, dtype=torch.float32)
    prompter = Prompter("none", loaded.tokenizer)
    prompts = [prompter.tokenizer.encode(p.question, with_bos=True) for p in result.problems]
    groups = Engine(loaded.model, loaded.tokenizer, seed=3).generate(
        prompts, SamplingParams(max_new_tokens=6), samples_per_prompt=4
    )
    texts = [[completion.text for completion in group] for group in groups]
    assert [[s.text for s in p.samples] for p in result.problems] == texts
    graded = [[s.is_correct for s in p.samples] for p in result.problems]
    assert graded == [[text.split()[0] in "abcd" if text else False for text in g] for g in texts]
    assert sum(map(sum, graded)) not in (0, 24)
    assert result.main.value == sum(map(sum, graded)) / 24
    assert result.settings["num_problems"] == 6
    assert result == load_result(tmp_path / "r.json")
    seconds = json.loads(timing_path(tmp_path / "r.json").read_text())
    assert seconds["samples"] == 24
    assert not journal_path(tmp_path / "r.json").exists()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    first = evaluated(tmp_path)
    assert evaluated(tmp_path, "again.json") == first
    assert evaluated(tmp_path, "other.json", seed=1) != first


def test_two_processes_give_the_same_bytes_as_one(tmp_path, small_units):
    alone = evaluated(tmp_path)
    shared = subprocess.run(
        [sys.executable, "-c", SHARED, *command(tmp_path, "two.json", ranks="2")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert (tmp_path / "two.json").read_bytes() == alone
    assert "24/24" in shared.stderr
    by_rank = json.loads(timing_path(tmp_path / "two.json").read_text())["process_seconds"]
    assert list(by_rank) == ["rank-0", "rank-1"]


def test_whatever_batch_is_torn_it_is_drawn_again_to_the_same_bytes(tmp_path, small_units):
    whole = evaluated(tmp_path)
    lines = interrupted(tmp_path)
    assert len(lines) == 3
    for kept in range(3):
        for torn in (0, 1, len(lines[kept]) - 1):
            folder = journal_path(tmp_path / "i.json")
            (folder / "rank-0.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:torn])
            assert evaluated(tmp_path, "i.json") == whole
            (tmp_path / "i.json").unlink()
            interrupted(tmp_path)


def interrupted(tmp_path):
    """Leave a journal of the evaluation i.json behind; its lines."""
    folder = journal_path(tmp_path / "i.json")
    config = tiny_eval(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aha.evals.run_eval.save_result", stop)
        with pytest.raises(KeyboardInterrupt):
            run(config, out=tmp_path / "i.json", log=SILENT)
    return (folder / "rank-0.jsonl").read_bytes().splitlines(keepends=True)


def stop(*_):
    raise KeyboardInterrupt


def test_what_is_in_the_journal_is_not_drawn_again(tmp_path, small_units):
    lines = interrupted(tmp_path)
    journal = journal_path(tmp_path / "i.json") / "rank-0.jsonl"
    marked = lines[0].replace(b'"text": "', b'"text": "MARK ', 1)
    journal.write_bytes(marked + b"".join(lines[1:2]))
    result = run(tiny_eval(tmp_path), out=tmp_path / "i.json", log=SILENT)
    texts = [s.text for p in result.problems for s in p.samples]
    assert len(texts) == 24
    assert [text.startswith("MARK ") for text in texts].count(True) == 1


def test_a_journal_of_other_settings_is_not_gone_on_with(tmp_path):
    interrupted(tmp_path)
    with pytest.raises(UserError, match=r"other settings: .*settings.temperature") as refused:
        run(tiny_eval(tmp_path, temperature=0.5), out=tmp_path / "i.json", log=SILENT)
    assert "--no-resume" in refused.value.hint
    result = run(
        tiny_eval(tmp_path, temperature=0.5), out=tmp_path / "i.json", resume=False, log=SILENT
    )
    assert result.settings["temperature"] == 0.5


def test_a_changed_model_or_changed_problems_are_other_settings(tmp_path):
    evaluated(tmp_path)
    letters_file(tmp_path, num_problems=7)
    with pytest.raises(UserError, match="problems_sha256"):
        evaluated(tmp_path)
    letters_file(tmp_path)
    from aha.model.hf_folder import save_model

    save_model(tmp_path / "model", tiny_model(seed=1), tiny_tokenizer())
    with pytest.raises(UserError, match=r"model\.sha256"):
        evaluated(tmp_path)


def test_a_finished_evaluation_is_only_read(tmp_path):
    first = evaluated(tmp_path)
    path = tmp_path / "r.json"
    path.write_bytes(first.replace(b'"reason": "none of', b'"reason": "READ: none of'))
    result = run(tiny_eval(tmp_path), out=path, log=SILENT)
    reasons = {s.reason.startswith("READ") for p in result.problems for s in p.samples}
    assert True in reasons
    assert evaluated(tmp_path, resume=False) == first


def test_a_damaged_journal_says_where(tmp_path):
    interrupted(tmp_path)
    (journal_path(tmp_path / "i.json") / "rank-3.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"rank-3\.jsonl is damaged") as refused:
        run(tiny_eval(tmp_path), out=tmp_path / "i.json", log=SILENT)
    assert "--no-resume" in refused.value.hint


def test_a_second_process_does_not_write_the_same_file(tmp_path):
    from aha.pipeline.run_dir import take_lock

    interrupted(tmp_path)
    lock = take_lock(journal_path(tmp_path / "i.json"))
    with pytest.raises(UserError, match="being written by another process"):
        run(tiny_eval(tmp_path), out=tmp_path / "i.json", log=SILENT)
    os.close(lock)


def test_a_grader_that_fails_is_no_wrong_answer_and_loses_no_sample(tmp_path):
    file = letters_file(tmp_path, name="broken.py")
    file.write_text(file.read_text().replace("time.sleep(SECONDS)", "raise OSError('disk gone')"))
    with pytest.raises(HealthError, match=r"no verdict on 24 of 24 .*disk gone") as stopped:
        evaluated(tmp_path, suite=str(file))
    assert "--regrade" in stopped.value.hint
    broken = load_result(tmp_path / "r.json")
    assert "pass@1" not in broken.metrics
    assert broken.metrics["unscored"].value == 1.0
    letters_file(tmp_path, name="broken.py")
    mended = regrade(broken)
    good = json.loads(evaluated(tmp_path, "good.json"))
    assert mended.result.metrics["pass@1"].value == good["metrics"]["pass@1"]["value"]
    assert sum(mended.changed.values()) == 24


def test_a_regrade_changes_what_the_grader_says_now(tmp_path):
    evaluated(tmp_path)
    before = load_result(tmp_path / "r.json")
    same = regrade(before)
    assert same.changed == {}
    assert same.result == before
    letters_file(tmp_path, right="abcdefgh")
    after = regrade(before)
    assert set(after.changed) == {("wrong", "correct")}
    gained = sum(after.changed.values()) / 24
    assert after.result.main.value == pytest.approx(before.main.value + gained)
    letters_file(tmp_path, num_problems=2)
    with pytest.raises(UserError, match=r"letters/2 of this result is not there"):
        regrade(before)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"suite": "arithmetik"}, "unknown suite 'arithmetik'"),
        ({"suite": "none.jsonl"}, r"none\.jsonl"),
        ({"model": "nowhere"}, "no model folder 'nowhere'"),
        ({"temperature": 0.0}, "temperature 0 gives the same response 4 times"),
        ({"template": "r2"}, "'r2'"),
        ({"engine": "vllm"}, "vLLM cannot be imported"),
        ({"model": "endpoint:http://localhost:9/v1#m", "template": "r1-zero"}, "endpoint"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path, values, message):
    if values.get("engine") == "vllm":
        pytest.importorskip("torch")
        try:
            import vllm  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("vLLM is installed")
    with pytest.raises(UserError, match=message) as refused:
        run(tiny_eval(tmp_path, **values), out=tmp_path / "r.json", log=SILENT)
    assert refused.value.hint
    assert not (tmp_path / "r.json").exists()
    assert not journal_path(tmp_path / "r.json").exists()


def test_an_empty_suite_is_the_users_error(tmp_path):
    file = letters_file(tmp_path, num_problems=0, name="empty.py")
    with pytest.raises(UserError, match=r"no .*problems"):
        run(tiny_eval(tmp_path, suite=str(file)), out=tmp_path / "r.json", log=SILENT)


def test_a_run_directory_stands_for_its_last_model_and_its_template(tmp_path):
    from tests.trainers.tiny import tiny_folder

    config = tiny_eval(tmp_path)
    stages = tmp_path / "runs" / "zero-001" / "stages"
    tiny_folder(stages / "01-base-0" / "model", layers=1)
    tiny_folder(stages / "02-zero-0" / "model")
    (tmp_path / "asks.txt").write_text("? {question} ?")
    trained = {"template": str(tmp_path / "asks.txt")}
    (stages / "02-zero-0" / "config.json").write_text(json.dumps(trained))
    (tmp_path / "runs" / "zero-001" / "run.json").write_text("{}")
    values = config.table() | {"model": str(tmp_path / "runs" / "zero-001"), "template": None}
    result = run(type(config)(**values | {"problems": 1}), out=tmp_path / "r.json", log=SILENT)
    assert result.settings["template"] == trained["template"]
    assert result.problems[0].prompt == "? a 0 ?"
    assert result.model["name"] == "zero-001"
    direct = run(tiny_eval(tmp_path, problems=1), out=tmp_path / "d.json", log=SILENT)
    assert result.model["sha256"] == direct.model["sha256"]
    assert default_path(direct.table()).name == "letters-model.json"


def test_only_missing_responses_are_asked_of_the_engine(tmp_path):
    model, tokenizer = tiny_model(), tiny_tokenizer()
    backend = LocalBackend(
        Engine(model, tokenizer), Prompter("none", tokenizer), SamplingParams(max_new_tokens=5)
    )
    prompts = ["a 0", "b 1", "c 2"]
    every = {r.place: r for (batch) in backend.sample(prompts, ALL) for r in batch}
    some = [(0, 1), (1, 0), (1, 1), (1, 3), (2, 3)]
    (batch,) = backend.sample(prompts, some)
    assert {r.place: r.text for r in batch} == {place: every[place].text for place in some}


ALL = [(p, s) for p in range(3) for s in range(4)]


def test_a_prompt_that_does_not_fit_is_cut_off_before_it_begins(tmp_path):
    asks = "{question} " + "a " * 62
    (tmp_path / "long.txt").write_text(asks)
    text = letters_file(tmp_path).read_text().replace('f"{LETTERS', '"a" if i == 1 else f"{LETTERS')
    (tmp_path / "letters.py").write_text(text)
    result = run(
        tiny_eval(tmp_path, template=str(tmp_path / "long.txt"), problems=2),
        out=tmp_path / "r.json",
        log=SILENT,
    )
    lengths = [{(s.length_tokens, s.finish_reason) for s in p.samples} for p in result.problems]
    assert lengths[0] == {(0, "length")}  # 64 tokens in a context of 64
    assert all(tokens == 1 for tokens, _ in lengths[1])  # there is room for one more
    assert result.metrics["truncated"].value >= 0.5


def test_a_thought_that_the_prompt_opens_is_opened_in_the_response():
    assert opened(f"Assistant: {THINK_OPEN}\n", "so </think> 4") == "<think>so </think> 4"
    assert opened("Assistant:", "4") == "4"


def test_every_place_has_a_seed_of_its_own():
    seeds = {place_seed(seed, (p, s)) for seed in (0, 1) for p in range(20) for s in range(20)}
    assert len(seeds) == 800
    assert all(0 <= seed < 2**31 for seed in seeds)


SHARED = """
import sys
from aha.evals import backends
backends.SMALL_UNIT_ROWS = 8
from aha.cli.main import main
main(sys.argv[1:])
"""
"""`aha` with small batches."""


def command(tmp_path, out, **options):
    """Arguments of `aha` for the evaluation of `tiny_eval`."""
    config = tiny_eval(tmp_path)
    given = {
        "suite": config.suite, "template": "none", "samples": "4", "max-new-tokens": "6",
        "temperature": "1", "top-p": "1", "ranks": "1", "out": str(tmp_path / out),
    }  # fmt: skip
    words = [word for key, value in (given | options).items() for word in (f"--{key}", value)]
    return ["eval", config.model, *words]


def test_kill_9_loses_nothing_and_doubles_nothing(tmp_path):
    """Judging takes 30 ms a response, so that each of 6 batches takes a moment."""
    letters_file(tmp_path, num_problems=12, seconds=0.03)
    arguments = command(tmp_path, "killed.json")
    program = [sys.executable, "-c", SHARED, *arguments]
    process = subprocess.Popen(program, start_new_session=True, stderr=subprocess.DEVNULL)
    journal = journal_path(tmp_path / "killed.json")
    deadline = time.monotonic() + 60
    while not any(b"\n" in file.read_bytes() for file in journal.glob("rank-*.jsonl")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert journal.exists() and not (tmp_path / "killed.json").exists()
    there = sum(file.read_bytes().count(b"\n") for file in journal.glob("rank-*.jsonl"))
    assert 1 <= there < 6
    again = subprocess.run(program, check=True, capture_output=True, text=True)
    assert f"{8 * there} there already" in again.stderr
    whole = [sys.executable, "-c", SHARED, *command(tmp_path, "whole.json")]
    subprocess.run(whole, check=True, capture_output=True)
    assert (tmp_path / "killed.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
