"""An epoch of supervised fine-tuning: `aha` against TRL's SFTTrainer, on this machine.

Same model and weights at the start, samples, loss mask, packed rows of the same size in which no
sample sees another, and number of AdamW updates; both take the mean over the trained tokens of an
update. Each draws its updates in its own order, so the mean losses of the first epoch, at next to
no learning rate, differ by a few percent. Rendering and tokenizing are not measured.

Aha runs as a user gets it on two cores, two ranks of one thread. TRL runs as one process, packed
and padded, with one and with two threads, and its best setting counts. All take turns in every
round; figures are medians over the rounds.

    python benchmarks/sft.py [--model embedded|smollm2|FOLDER] [--rounds 5] ...
    python benchmarks/sft.py --alone --ranks 1      aha only; writes no result

Needs TRL beside aha: pip install trl 'transformers>=5' accelerate datasets
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):  # started as a file: make `benchmarks` and `aha` importable
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import Worker, machine, publish, wait_for_turn

if TYPE_CHECKING:
    from aha.data.conversations import TokenSample
    from aha.pipeline.ranks import Ranks

MODULE = "benchmarks.sft"
HOPELESS = 3.0
"""A setting of TRL leaves when it takes this many times the warm-up of the first."""
NEVER = 10_000_000
EPOCHS = 10_000
LEARNING_RATE = 1e-8


def main() -> int:
    arguments = parse()
    if arguments.worker:
        (our_epochs if arguments.worker == "aha" else trl_epochs)(arguments)
        return 0
    if not arguments.alone and importlib.util.find_spec("trl") is None:
        print("error: this benchmark compares with TRL, which is not installed", file=sys.stderr)
        print("hint: pip install trl 'transformers>=5' accelerate datasets", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        write_data(arguments, Path(folder) / "data.jsonl")
        seconds = measure(arguments, folder)
        result = summary(arguments, seconds, Path(folder))
    publish("sft", result, dry=arguments.dry or arguments.alone)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="embedded", help="embedded, smollm2 or a folder")
    parser.add_argument("--samples", type=int, default=512, help="an epoch")
    parser.add_argument("--batch-samples", type=int, default=64, help="an update")
    parser.add_argument("--row-tokens", type=int, default=512)
    parser.add_argument("--ranks", type=int, default=2, help="processes of aha")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="measure aha only, write no result")
    parser.add_argument("--dry", action="store_true", help="print, write no result")
    parser.add_argument("--worker", choices=["aha", "packed", "padded"], help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def write_data(arguments: argparse.Namespace, path: Path) -> None:
    """Dialogues of the embedded corpus as prompts and responses."""
    from itertools import islice

    from aha.tasks.embedded.corpus import documents

    parts = (text.rpartition("Assistant:") for text in documents(0, part="benchmark"))
    found = ({"prompt": a + b, "response": c} for a, b, c in parts if b and c)
    rows = islice(found, arguments.samples)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def model_folder(arguments: argparse.Namespace) -> Path:
    from aha.pipeline.sources import resolve_model

    return resolve_model(arguments.model)


def samples_of(arguments: argparse.Namespace) -> "list[TokenSample]":
    """The samples as both are given them."""
    from aha.data.conversations import load_samples
    from aha.model import Tokenizer
    from aha.pipeline.ranks import Ranks

    tokenizer = Tokenizer.from_folder(model_folder(arguments))
    return load_samples(Path(arguments.folder) / "data.jsonl", tokenizer, Ranks())


def num_updates(arguments: argparse.Namespace) -> int:
    """Of an epoch."""
    return math.ceil(arguments.samples / arguments.batch_samples)


def measure(arguments: argparse.Namespace, folder: str) -> dict[str, list[float]]:
    """Seconds of an epoch of every setting in every round; the settings take turns."""
    sizes = ("samples", "batch_samples", "row_tokens", "ranks", "model")
    options = [f"--{key.replace('_', '-')}={getattr(arguments, key)}" for key in sizes]
    settings = {f"aha_{arguments.ranks}_ranks": ("aha", 1)}
    if not arguments.alone:
        settings |= {
            f"trl_{kind}_{threads}_threads": (kind, threads)
            for kind in ("packed", "padded")
            for threads in (1, 2)
        }
    workers: dict[str, Worker] = {}
    seconds: dict[str, list[float]] = {name: [] for name in settings}
    patience = None
    try:
        for name, (kind, threads) in settings.items():
            print(f"warming up {name}", file=sys.stderr)
            started = time.perf_counter()
            chosen = (f"--worker={kind}", f"--folder={folder}")
            with contextlib.suppress(TimeoutError):
                workers[name] = Worker(
                    MODULE, *options, *chosen, threads=threads, patience=patience
                )
            if kind != "aha" and patience is None:
                patience = HOPELESS * (time.perf_counter() - started)
        for number in range(arguments.rounds):
            for name in list(workers):
                take_turn(name, workers, seconds)
            latest = {name: round(values[-1], 2) for name, values in seconds.items() if values}
            print(f"round {number + 1}: {latest}", file=sys.stderr)
    finally:
        for worker in workers.values():
            worker.stop()
    return {name: values for name, values in seconds.items() if values}


def take_turn(name: str, workers: dict[str, Worker], seconds: dict[str, list[float]]) -> None:
    """One epoch of one setting; one that is hopelessly slow leaves."""
    try:
        seconds[name].append(workers[name].seconds())
    except TimeoutError:
        print(f"{name} is too slow here and leaves", file=sys.stderr)
        workers.pop(name).stop()


def summary(
    arguments: argparse.Namespace, seconds: Mapping[str, list[float]], folder: Path
) -> dict[str, Any]:
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    arguments.folder = str(folder)
    samples = samples_of(arguments)
    num_tokens = sum(sample.num_tokens for sample in samples)
    losses = {path.stem: json.loads(path.read_text()) for path in folder.glob("loss_*.json")}
    packages = ("torch",) if arguments.alone else ("torch", "transformers", "trl")
    return {
        "ratios": ratios(medians),
        "limits": {},
        "seconds_per_epoch": {key: round(value, 3) for key, value in medians.items()},
        "tokens_per_second": {key: round(num_tokens / value) for key, value in medians.items()},
        "mean_loss": {"loss_aha": our_loss(folder), **losses},
        "rounds": {key: [round(value, 3) for value in values] for key, values in seconds.items()},
        "workload": {
            "tokens": num_tokens,
            "trained_tokens": sum(sample.num_trained for sample in samples),
            "updates": num_updates(arguments),
            **{key: getattr(arguments, key) for key in ("model", "samples", "row_tokens")},
        },
        "machine": machine(*packages),
    }


def ratios(medians: Mapping[str, float]) -> dict[str, float]:
    """The best of TRL over ours; nothing without TRL."""
    ours = min(value for key, value in medians.items() if key.startswith("aha"))
    theirs = [value for key, value in medians.items() if key.startswith("trl")]
    return {"sft_vs_trl": round(min(theirs) / ours, 2)} if theirs else {}


# --- ours ---------------------------------------------------------------------------------------


def our_epochs(arguments: argparse.Namespace) -> None:
    """Rank 0, which starts the others."""
    from aha.pipeline.launch import launched

    with launched(f"{MODULE}:our_rank", json.dumps(vars(arguments)), arguments.ranks) as ranks:
        our_rank(json.dumps(vars(arguments)), ranks)


def our_rank(argument: str, ranks: "Ranks") -> None:
    """The training loop itself, stopped at the end of every epoch until it is its turn."""
    from aha.pipeline.progress import Progress
    from aha.pipeline.testing import stage_context
    from aha.trainers.config import SftConfig
    from aha.trainers.sft import train

    arguments = argparse.Namespace(**json.loads(argument))

    class Turns(Progress):
        def step(self, step: int, num_steps: int, values: Mapping[str, float | str]) -> None:
            if step % num_updates(arguments) == 0:
                if ranks.is_main:
                    wait_for_turn()
                ranks.barrier()

    config = SftConfig(
        epochs=EPOCHS,
        batch_samples=arguments.batch_samples,
        row_tokens=arguments.row_tokens,
        tokens_per_microbatch=4_096,
        learning_rate=LEARNING_RATE,
        warmup_fraction=0.0,
        lr_schedule="constant",
        validation_fraction=0.0,
        save_every=NEVER,
    )
    folder = Path(arguments.folder)
    inputs = {"model": model_folder(arguments), "data": folder / "data.jsonl"}
    context = stage_context(folder / "stage", config, inputs, ranks)
    train(dataclasses.replace(context, log=Turns(enabled=False)))


def our_loss(folder: Path) -> float:
    """Of the first epoch, the mean over its updates."""
    lines = (folder / "stage" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return statistics.mean(row["loss/sft"] for row in rows if row["epoch"] <= 1)


# --- TRL ----------------------------------------------------------------------------------------


def trl_epochs(arguments: argparse.Namespace) -> None:
    """SFTTrainer's loop, stopped at the end of every epoch until it is its turn."""
    import torch
    import transformers
    from trl import SFTTrainer

    torch.set_num_threads(arguments.threads)
    losses: list[float] = []

    class Turns(transformers.TrainerCallback):
        def on_log(self, *_: Any, logs: dict[str, Any], **__: Any) -> None:
            losses.append(float(logs["loss"]))
            if len(losses) == num_updates(arguments):
                mean = json.dumps(statistics.mean(losses))
                (Path(arguments.folder) / f"loss_trl_{arguments.worker}.json").write_text(mean)
            if len(losses) % num_updates(arguments) == 0:
                wait_for_turn()

    folder = model_folder(arguments)
    rows = trl_rows(arguments)
    trainer = SFTTrainer(
        model=transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        processing_class=transformers.AutoTokenizer.from_pretrained(folder),
        args=trl_config(arguments, len(rows)),
        train_dataset=rows,
        callbacks=[Turns()],
    )
    trainer.train()


def trl_rows(arguments: argparse.Namespace) -> Any:
    """The samples, or rows of them packed as ours are, with labels."""
    from datasets import Dataset

    from aha.trainers.sft_data import pack_rows

    samples = samples_of(arguments)
    packs = [[s] for s in samples]
    if arguments.worker == "packed":
        packs = pack_rows(samples, arguments.row_tokens)
    return Dataset.from_list([trl_row(pack, arguments.worker == "packed") for pack in packs])


def trl_row(samples: "list[TokenSample]", packed: bool) -> dict[str, Any]:
    tokens = [token for sample in samples for token in sample.tokens.tolist()]
    labels = [
        token if is_trained else -100
        for sample in samples
        for token, is_trained in zip(
            sample.tokens.tolist(), sample.is_trained.tolist(), strict=True
        )
    ]
    row: dict[str, Any] = {"input_ids": tokens, "labels": labels}
    return row | ({"seq_lengths": [sample.num_tokens for sample in samples]} if packed else {})


def trl_config(arguments: argparse.Namespace, num_rows: int) -> Any:
    """The same updates, in the settings that make TRL fastest on a CPU."""
    from trl import SFTConfig

    packed = arguments.worker == "packed"
    return SFTConfig(
        output_dir=str(Path(arguments.folder) / "trl"),
        use_cpu=True,
        bf16=False,
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=math.ceil(num_rows / num_updates(arguments)),
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=arguments.row_tokens,
        packing=packed,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=1.0,
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


if __name__ == "__main__":
    sys.exit(main())
