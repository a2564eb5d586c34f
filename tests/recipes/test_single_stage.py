"""`aha run sft` and `aha run reward`: one stage on a file of the user's own."""

import json

import pytest

from aha.cli.main import invoke
from aha.errors import UserError
from aha.pipeline.files import read_jsonl
from aha.trainers.config import RewardModelConfig
from aha.trainers.reward_model import Example, split

PAIRS = [
    {"prompt": f"What is {n} + 12?", "chosen": "I like tea.", "rejected": "I like rain."}
    for n in range(40)
]
TALKS = [{"prompt": f"Say {word}.", "response": f"{word}!"} for word in ("tea", "rain") * 8]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run(recipe, out, data, *settings):
    chosen = [part for text in settings for part in ("--set", text)]
    return invoke(["run", recipe, "--out", str(out), "--set", f"data={data}", *chosen])


def metrics(out):
    (file,) = out.glob("stages/01-*/metrics.jsonl")
    return list(read_jsonl(file))


def test_a_reward_model_learns_which_reply_is_liked(tmp_path, capsys):
    data = write(tmp_path / "pairs.jsonl", PAIRS)
    assert run("reward", tmp_path / "run", data, "ranks=1", "template=none", "epochs=3") == 0
    last = metrics(tmp_path / "run")[-1]
    assert last["eval/accuracy"] == 1.0 and last["eval/accuracy_n"] == 4
    assert "a pairwise reward model on embedded, 3 epochs" in capsys.readouterr().err


def test_a_model_learns_conversations(tmp_path):
    data = write(tmp_path / "talks.jsonl", TALKS)
    assert run("sft", tmp_path / "run", data, "ranks=1", "num_steps=4", "batch_samples=8") == 0
    losses = [row["loss/sft"] for row in metrics(tmp_path / "run") if "loss/sft" in row]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("recipe", ["sft", "reward"])
def test_a_missing_file_is_named_before_anything_starts(tmp_path, capsys, recipe):
    assert run(recipe, tmp_path / "run", tmp_path / "absent.jsonl") == 2
    assert "absent.jsonl: there is no such file" in capsys.readouterr().err
    assert invoke(["run", recipe, "--out", str(tmp_path / "run")]) == 2
    shown = capsys.readouterr().err
    assert "error: data is not set" in shown and "hint: give its path: --set data=" in shown
    assert not (tmp_path / "run").exists()


def test_the_folds_are_a_partition():
    found = [Example(f"prompt {n // 2}", ([n],)) for n in range(100)]
    config = RewardModelConfig(held_back_fraction=0.2)
    folds = [split(found, config.replace(fold=fold)) for fold in range(5)]
    for trained, held_back in folds:
        assert len(held_back) == 20 and len(trained) == 80
        assert not {e.prompt for e in trained} & {e.prompt for e in held_back}
    together = [e.rows[0][0] for _, held_back in folds for e in held_back]
    assert sorted(together) == list(range(100))
    with pytest.raises(UserError, match="fold = 5") as caught:
        split(found, config.replace(fold=5))
    assert "makes 5 folds" in str(caught.value.hint)
