"""Code in the pages runs: Python blocks, task files, rows, presets."""

import json

import pytest

from aha.recipes.presets import load_config
from aha.recipes.recipe import load_recipe
from aha.rewards.verdict import Verdict
from aha.tasks.registry import gold_response, load_task, validate_task
from aha.tasks.task import SPLITS
from tests.docs.markdown import IDS, PAGES, ROOT, blocks

DOCS = ROOT / "docs"
PYTHON = [
    pytest.param(block.text, id=f"{name}-{number}")
    for name, page in zip(IDS, PAGES, strict=True)
    for number, block in enumerate(blocks(page))
    if block.kind == "python"
]


def of_kind(page, kind):
    return [block.text for block in blocks(DOCS / page) if block.kind == kind]


@pytest.mark.parametrize("code", PYTHON)
def test_python_runs(code, in_tmp_path):
    exec(compile(code, "block", "exec"), {"__name__": "block"})


@pytest.mark.parametrize("number", [0, 1])
def test_task_files_of_the_guide_are_good_tasks(number, tmp_path):
    (tmp_path / "my_task.py").write_text(of_kind("own-task.md", "python")[number])
    task = load_task(str(tmp_path / "my_task.py"))
    assert validate_task(task) == []
    assert all(len(task.problems(split)) >= 10 for split in SPLITS)


def test_the_score_and_the_reward_of_the_guide_say_what_the_guide_says(tmp_path):
    (tmp_path / "my_task.py").write_text(of_kind("own-task.md", "python")[0])
    task = load_task(str(tmp_path / "my_task.py"))
    problem = task.problems("train")[0]
    low, divisor = problem.meta["low"], problem.meta["divisor"]
    answers = {low: False, low + 1: (low + 1) % divisor == 0, 7 * divisor * low: True}
    for answer, right in answers.items():
        text = f"<think></think><answer>{answer}</answer>"
        assert task.score(problem, text).is_correct == right
    (brief,) = task.rewards
    good = gold_response(problem)
    assert brief.weight == 0.2 and brief(problem, good) == 1.0
    assert brief(problem, good.replace("<think>", "<think>" + " " * 600)) == pytest.approx(
        0.5, abs=0.1
    )
    assert brief(problem, good + "x" * 2000) == brief(problem, "no") == 0.0


def test_rows_of_the_guide_are_a_task(tmp_path):
    (tmp_path / "rows.jsonl").write_text(of_kind("own-task.md", "json")[0], encoding="utf-8")
    task = load_task(str(tmp_path / "rows.jsonl"))
    assert validate_task(task) == []
    by_gold = {problem.gold: problem for split in SPLITS for problem in task.problems(split)}
    assert len(by_gold) == 4

    def verdict(gold: str, answer: str) -> Verdict:
        return task.score(by_gold[gold], f"<think></think><answer>{answer}</answer>")

    right = {"144": ("144.0", "288/2", "144."), "1/3": ("2/6",), "Mercury": (" mercury ",)}
    wrong = {"144": ("144 m", "12 * 12", "144 144"), "1/3": ("0.333",), "Mercury": ("Venus",)}
    assert all(verdict(gold, a).is_correct for gold, texts in right.items() for a in texts)
    assert not any(verdict(gold, a).is_correct for gold, texts in wrong.items() for a in texts)


@pytest.mark.parametrize("page", IDS)
def test_json_blocks_are_json(page):
    for block in blocks(ROOT / page):
        if block.kind == "json":
            assert [json.loads(line) for line in block.text.split("\n") if line.strip()]


def test_the_preset_of_the_reference_loads(tmp_path):
    (tmp_path / "mine.toml").write_text(of_kind("configuration.md", "toml")[0])
    config = load_config(load_recipe("zero"), preset=str(tmp_path / "mine.toml"))
    assert (config.algorithm, config.zero.clip_high, config.zero.clip_low) == ("dapo", 0.3, 0.2)
    assert config.zero.overlong == "soft"
