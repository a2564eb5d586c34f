"""The last stage of a recipe on tiny models: headline, samples, the ablation of reflection."""

import json

import pytest

from aha.engine.engine import Engine
from aha.engine.types import SamplingParams
from aha.errors import UserError
from aha.evals.config import EvaluateConfig
from aha.evals.stage import SAVED_PROBLEMS, evaluate, reflection_tokens
from aha.model.hf_folder import save_model
from aha.model.tokenizer import Tokenizer
from aha.pipeline.testing import stage_context
from aha.rewards.reflection import REFLECTION_WORDS
from tests.trainers.tiny import (
    WORDS,
    on_ranks,
    tiny_folder,
    tiny_model,
    tiny_task_file,
    tiny_tokenizer,
)


def config(folder, **values):
    return EvaluateConfig(
        **{
            "task": (str(folder / "letters.py"),),
            "template": "none",
            "max_new_tokens": 6,
            "problems": 8,
            "samples": 2,
            "cons_samples": 4,
            "cons_problems": 6,
            "dtype": "float32",
            "temperature": 0.5,
            **values,
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    tiny_task_file(folder)
    tiny_folder(folder / "base")
    tiny_folder(folder / "model", seed=1)
    return folder


def context(folder, directory, ranks=None, **values):
    inputs = {"base": folder / "base", "model": folder / "model"}
    return stage_context(directory, config(folder, **values), inputs, ranks)


def test_the_summary_has_the_names_that_scripts_read(folder, tmp_path):
    ctx = context(folder, tmp_path)
    result = evaluate(ctx)
    names = (
        "pass@1_before pass@1_before_stderr pass@1_after pass@1_after_stderr cons@4_after "
        "cons@4_after_stderr length_before_tokens length_after_tokens reflection_before "
        "reflection_after format_after language_consistency_after pass@1_without_reflection"
    )
    assert set(names.split()) <= set(result.summary)
    assert result.summary["problems"] == 8
    assert result.summary["cons@4_after_n"] == 6
    written = json.loads((tmp_path / result.output).read_text())
    assert written == json.loads(json.dumps(result.summary))
    assert written["tasks"]["letters"]["length_after_tokens"] == written["length_after_tokens"]


def test_the_saved_responses_explain_the_figures(folder, tmp_path):
    ctx = context(folder, tmp_path)
    summary = evaluate(ctx).summary
    text = (tmp_path / "samples" / "step-000000.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert SAVED_PROBLEMS > 8
    for when in ("before", "after"):
        mine = [row for row in rows if row["when"] == when]
        assert len(mine) == 8 * 2
        lengths = sum(row["length_tokens"] for row in mine) / len(mine)
        assert summary[f"length_{when}_tokens"] == pytest.approx(lengths)
    assert summary["length_before_tokens"] != summary["length_after_tokens"]


def test_the_figures_depend_on_the_seed_alone(folder, tmp_path):
    first, second = (
        evaluate(context(folder, tmp_path / name)).summary for name in ("first", "second")
    )
    assert first == second
    other = evaluate(context(folder, tmp_path / "other", seed=1)).summary
    assert first["length_after_tokens"] != other["length_after_tokens"]


def test_ranks_share_the_work_and_not_the_result(folder, tmp_path):
    alone = evaluate(context(folder, tmp_path / "alone"))
    shared = on_ranks(2, lambda ranks: evaluate(context(folder, tmp_path / "shared", ranks)))
    assert [result.summary for result in shared] == [alone.summary] * 2
    names = ("result.json", "samples/step-000000.jsonl")
    for name in names:
        assert (tmp_path / "shared" / name).read_text() == (tmp_path / "alone" / name).read_text()


def test_a_missing_base_model_is_not_papered_over(folder, tmp_path):
    ctx = context(folder, tmp_path)
    broken = stage_context(tmp_path, ctx.config, {**ctx.inputs, "base": tmp_path / "nowhere"})
    with pytest.raises(UserError, match="no model folder"):
        evaluate(broken)


def test_one_task_twice_is_refused(folder, tmp_path):
    twice = (str(folder / "letters.py"),) * 2
    with pytest.raises(UserError, match="two tasks of this run are called 'letters'"):
        evaluate(context(folder, tmp_path, task=twice))


def word_tokenizer(words):
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers

    backend = Backend(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token=words[1]))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Tokenizer(backend, eos_token=words[0])


def test_every_reflection_word_is_found_among_the_tokens():
    english, chinese = zip(*REFLECTION_WORDS, strict=True)
    words = ["<end>", "?", *english, "Wait", "waiting", *chinese, "rebut", "so"]
    found = {words[i] for i in reflection_tokens(word_tokenizer(words))}
    assert found == {*english, "Wait", *chinese}
    assert reflection_tokens(tiny_tokenizer()) == ()


def test_forbidden_words_are_never_said():
    words = ["<end>", "?", "wait", "check", *WORDS[4:]]
    tokenizer, model = word_tokenizer(words), tiny_model()
    engine = Engine(model, tokenizer)
    free = SamplingParams(max_new_tokens=20, stop_at_eos=False)
    tied = SamplingParams(
        max_new_tokens=20, stop_at_eos=False, forbidden_token_ids=reflection_tokens(tokenizer)
    )
    said, kept = (
        {t for c in engine.generate([[4, 5]], p, samples_per_prompt=20)[0] for t in c.token_ids}
        for p in (free, tied)
    )
    assert {2, 3} <= said
    assert kept and not {2, 3} & kept


def test_the_ablation_measures_what_the_words_are_worth(tmp_path):
    """Of the responses that this model knows, those with `wait` are right and no others."""
    (tmp_path / "waits.jsonl").write_text(
        "".join(f'{{"question": "g {i}", "answer": "x"}}\n' for i in range(400))
    )
    dots = ["." * count for count in range(7)]
    right = [f"<think>wait{dot}</think><answer>x</answer>" for dot in dots]
    wrong = [f"<think>well{dot}</think><answer>y</answer>" for dot in dots]
    for name in ("base", "model"):
        save_model(tmp_path / name, tiny_model(), word_tokenizer(["<end>", "?", *right, *wrong]))
    settings = {"max_new_tokens": 1, "problems": 20, "samples": 8, "temperature": 1.0}
    ctx = stage_context(
        tmp_path / "stage",
        config(tmp_path, task=(str(tmp_path / "waits.jsonl"),), **settings),
        {name: tmp_path / name for name in ("base", "model")},
    )
    summary = evaluate(ctx).summary
    assert summary["pass@1_after"] == summary["reflection_after"] > 0.2
    assert summary["pass@1_without_reflection"] == 0


CHECKED = "Wait, check: 57 - 20 = 37, 37 - 8 = 29."
FIX, ALARM, SILENT = (
    f"<think>57 - 28 = {first}. {verdict}</think><answer>x</answer>"
    for first, verdict in (
        (31, f"{CHECKED} 31 is wrong, so 29."),
        (29, f"{CHECKED} 29 is wrong, so 31."),
        (29, ""),
    )
)


@pytest.fixture(scope="module")
def checking(tmp_path_factory):
    """Two models whose every token is a whole response: a repair, a false alarm or neither."""
    folder = tmp_path_factory.mktemp("checking")
    (folder / "sums.jsonl").write_text(
        "".join(f'{{"question": "g {i}", "answer": "x"}}\n' for i in range(400))
    )
    said = [text + " " * i for text in (FIX, ALARM, SILENT) for i in range(4)]
    for seed, name in enumerate(("base", "model")):
        tokenizer = word_tokenizer(["<end>", "?", "-", "+", *said])
        save_model(folder / name, tiny_model(seed=seed), tokenizer)
    return folder


def evaluate_checking(folder, directory, ranks=None):
    settings = {"max_new_tokens": 1, "problems": 16, "samples": 8, "temperature": 1.0}
    return evaluate(
        stage_context(
            directory,
            config(folder, task=(str(folder / "sums.jsonl"),), **settings),
            {name: folder / name for name in ("base", "model")},
            ranks,
        )
    ).summary


def test_corrections_are_counted_over_all_responses(checking, tmp_path):
    summary = evaluate_checking(checking, tmp_path)
    text = (tmp_path / "samples" / "step-000000.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    for when in ("before", "after"):
        said = [row["text"].strip() for row in rows if row["when"] == when]
        rates = summary[f"corrections_{when}"]
        assert rates["n"] == len(said) == 16 * 8
        assert rates["fix"] == said.count(FIX) / len(said) > 0
        assert rates["false_alarm"] == said.count(ALARM) / len(said) > 0
        assert (rates["caught_fraction"], rates["false_alarm_fraction"]) == (1.0, 1.0)
        assert rates["missed"] == rates["confirmed"] == 0.0
        assert summary["tasks"]["sums"][f"corrections_{when}"] == rates
    assert summary["corrections_before"] != summary["corrections_after"]


def test_ranks_count_the_corrections_of_their_own_responses(checking, tmp_path):
    alone = evaluate_checking(checking, tmp_path / "alone")
    shared = on_ranks(
        3, lambda ranks: evaluate_checking(checking, tmp_path / f"rank{ranks.rank}", ranks)
    )
    assert [summary["corrections_after"] for summary in shared] == [alone["corrections_after"]] * 3


def test_responses_without_equations_have_no_corrections(folder, tmp_path):
    summary = evaluate(context(folder, tmp_path)).summary
    for when in ("before", "after"):
        rates = summary[f"corrections_{when}"]
        assert (rates["n"], rates["fix"], rates["caught_fraction"]) == (16, 0.0, None)
    assert summary["pass@1_without_reflection_n"] == 8
