"""A whole GRPO step: `aha run` against TRL's GRPOTrainer, on this machine.

Same model and weights at the start, prompts, rewards, group, lengths and loss: token mean, ratio
clipped to 0.8 and 1.28, advantages over the group's standard deviation, no KL term, one AdamW
update a rollout. End of text is taken out of the model, so that every response has the same number
of tokens on both sides. A step is sampling, scoring, the update and logging.

Aha runs as a user gets it on two cores, two ranks of one thread. TRL runs as one process, with one
and with two threads, and its better setting counts. All take turns in every round; figures are
medians over the rounds.

    python benchmarks/grpo_step.py [--model embedded|smollm2|random|FOLDER] [--rounds 5] ...

Needs TRL beside aha: pip install trl 'transformers>=5' accelerate datasets
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
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
    from aha.pipeline.ranks import Ranks
    from aha.tasks.task import Problem

MODULE = "benchmarks.grpo_step"
LIMIT = 5.0
"""Times that our step shall be faster."""
HOPELESS = 3.0
"""Two threads of TRL leave when they take this many times the warm-up of one."""
NEVER = 10_000_000
LEARNING_RATE, CLIP_LOW, CLIP_HIGH = 1e-6, 0.2, 0.28
TASK, TEMPLATE = "arithmetic", "r1-zero"
SIZES = {
    "smollm2": {"prompts": 4, "samples": 8, "new_tokens": 64, "dtype": "bfloat16", "trl_rows": 8}
}
TINY = {"prompts": 16, "samples": 16, "new_tokens": 128, "dtype": "float32", "trl_rows": 256}
"""A step of the preset tiny: the lengths of the middle of its run."""


def main() -> int:
    arguments = parse()
    if importlib.util.find_spec("trl") is None:
        print("error: this benchmark compares with TRL, which is not installed", file=sys.stderr)
        print("hint: pip install trl 'transformers>=5' accelerate datasets", file=sys.stderr)
        return 2
    if arguments.worker:
        (our_steps if arguments.worker == "aha" else trl_steps)(arguments)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write_model(arguments.model, Path(folder) / "model")
        seconds = measure(arguments, folder)
        phases = our_phases(Path(folder))
    name = "grpo_step" if arguments.model not in SIZES else f"grpo_step_{arguments.model}"
    publish(name, summary(name, arguments, seconds, phases), dry=arguments.dry)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="embedded", help="embedded, smollm2, random or a folder")
    parser.add_argument("--prompts", type=int, help="a step")
    parser.add_argument("--samples", type=int, help="responses to a prompt")
    parser.add_argument("--new-tokens", type=int, help="of every response")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"])
    parser.add_argument("--trl-rows", type=int, help="responses in one forward pass of TRL")
    parser.add_argument("--ranks", type=int, default=2, help="processes of aha")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="print, write no result")
    parser.add_argument("--worker", choices=["aha", "trl"], help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for key, value in SIZES.get(arguments.model, TINY).items():
        if getattr(arguments, key) is None:
            setattr(arguments, key, value)
    return arguments


def write_model(name: str, folder: Path) -> None:
    """A copy of the model in which nothing ends a text."""
    from aha.model import Tokenizer, load_model, save_model
    from aha.pipeline.sources import resolve_model

    if name == "random":
        config, tokenizer, model = random_model()
    else:
        loaded = load_model(resolve_model(name))
        config, tokenizer, model = loaded.config, loaded.tokenizer, loaded.model
    pad = tokenizer.id_to_token(tokenizer.pad_token_id or tokenizer.eos_token_id or 0)
    endless = Tokenizer(tokenizer.backend, pad_token=pad, chat_template=tokenizer.chat_template)
    model.config = dataclasses.replace(config, eos_token_ids=())
    save_model(folder, model, endless)


def random_model() -> tuple[Any, Any, Any]:
    """Random weights in the sizes of the embedded model, with its tokenizer."""
    import torch

    from aha.model import Decoder, ModelConfig
    from aha.tasks.embedded.vocabulary import build_tokenizer

    tokenizer = build_tokenizer(0, vocab_size=1024)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=128,
        intermediate_size=384,
        num_layers=4,
        num_heads=4,
        num_kv_heads=4,
        head_dim=32,
        max_positions=512,
    )
    torch.manual_seed(0)
    return config, tokenizer, Decoder(config)


def measure(arguments: argparse.Namespace, folder: str) -> dict[str, list[float]]:
    """Seconds of a step of every setting in every round; the settings take turns."""
    sizes = ("prompts", "samples", "new_tokens", "dtype", "trl_rows", "ranks", "model")
    options = [f"--{key.replace('_', '-')}={getattr(arguments, key)}" for key in sizes]
    settings = {f"aha_{arguments.ranks}_ranks": ("aha", 1)}
    settings |= {f"trl_{threads}_threads": ("trl", threads) for threads in (1, 2)}
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
            if kind == "trl":
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
    """One step of one setting; one that is hopelessly slow (two threads, one free core) leaves."""
    try:
        seconds[name].append(workers[name].seconds())
    except TimeoutError:
        print(f"{name} is too slow here and leaves", file=sys.stderr)
        workers.pop(name).stop()


def summary(
    name: str,
    arguments: argparse.Namespace,
    seconds: Mapping[str, list[float]],
    phases: Mapping[str, float],
) -> dict[str, Any]:
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    ours = medians.pop(f"aha_{arguments.ranks}_ranks")
    ratio = f"{name}_vs_trl"
    keys = ("model", "prompts", "samples", "new_tokens", "dtype", "trl_rows")
    return {
        "ratios": {ratio: round(min(medians.values()) / ours, 2)},
        "limits": {ratio: LIMIT} if name == "grpo_step" else {},
        "seconds_per_step": {"aha": round(ours, 3), **{k: round(v, 3) for k, v in medians.items()}},
        "aha_phases": phases,
        "rounds": {key: [round(value, 3) for value in values] for key, values in seconds.items()},
        "workload": {key: getattr(arguments, key) for key in keys},
        "machine": machine("torch", "transformers", "trl"),
    }


def our_phases(folder: Path) -> dict[str, float]:
    """Where the seconds of our steps went, medians."""
    lines = (folder / "stage" / "timing.jsonl").read_text().splitlines()[1:]
    rows = [json.loads(line) for line in lines]
    keys = ("time/rollout_seconds", "time/train_seconds", "tokens_per_second")
    return {key: statistics.median(row[key] for row in rows) for key in keys if rows}


# --- ours ---------------------------------------------------------------------------------------


def our_steps(arguments: argparse.Namespace) -> None:
    """Rank 0, which starts the others."""
    from aha.pipeline.launch import launched

    with launched(f"{MODULE}:our_rank", json.dumps(vars(arguments)), arguments.ranks) as ranks:
        our_rank(json.dumps(vars(arguments)), ranks)


def our_rank(argument: str, ranks: "Ranks") -> None:
    """The training loop itself, stopped at every progress line until it is its turn."""
    from aha.pipeline.progress import Progress
    from aha.pipeline.testing import stage_context
    from aha.trainers.config import GrpoConfig
    from aha.trainers.grpo import train

    arguments = argparse.Namespace(**json.loads(argument))

    class Turns(Progress):
        def step(self, step: int, num_steps: int, values: Mapping[str, float | str]) -> None:
            assert values["length"] == arguments.new_tokens, values["length"]
            if ranks.is_main:
                wait_for_turn()
            ranks.barrier()

    config = GrpoConfig(
        task=(TASK,),
        template=TEMPLATE,
        num_steps=NEVER,
        prompts_per_step=arguments.prompts,
        samples_per_prompt=arguments.samples,
        tokens_per_microbatch=4_096,
        max_new_tokens=arguments.new_tokens,
        learning_rate=LEARNING_RATE,
        clip_low=CLIP_LOW,
        clip_high=CLIP_HIGH,
        kl_coef=None,
        advantage_scale="group_std",
        dynamic_sampling=False,
        save_every=NEVER,
        sample_every=NEVER,
        dtype=arguments.dtype,
    )
    folder = Path(arguments.folder)
    context = stage_context(folder / "stage", config, {"model": folder / "model"}, ranks)
    train(dataclasses.replace(context, log=Turns(enabled=False)))


# --- TRL ----------------------------------------------------------------------------------------


def trl_steps(arguments: argparse.Namespace) -> None:
    """GRPOTrainer's loop, stopped at the end of every step until it is its turn."""
    import torch
    import transformers
    from trl import GRPOTrainer

    torch.set_num_threads(arguments.threads)

    class Turns(transformers.TrainerCallback):
        def on_log(self, *_: Any, **__: Any) -> None:
            wait_for_turn()

    folder = str(Path(arguments.folder) / "model")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, arguments.dtype)
    )
    problems, rows = trl_dataset(folder)
    trainer = GRPOTrainer(
        model=model,
        processing_class=transformers.AutoTokenizer.from_pretrained(folder, padding_side="left"),
        reward_funcs=trl_reward(problems, arguments.new_tokens),
        args=trl_config(arguments, Path(arguments.folder)),
        train_dataset=rows,
        callbacks=[Turns()],
    )
    trainer.eos_token_ids = []
    for settings in (trainer.generation_config, trainer.model.generation_config):
        settings.eos_token_id = None
    trainer.generation_kwargs["eos_token_id"] = None
    trainer.train()


def trl_config(arguments: argparse.Namespace, folder: Path) -> Any:
    """The same step, in the settings that make TRL fastest on a CPU."""
    from trl import GRPOConfig

    responses = arguments.prompts * arguments.samples
    rows = min(arguments.trl_rows, responses)
    return GRPOConfig(
        output_dir=str(folder / "trl"),
        use_cpu=True,
        bf16=False,
        max_steps=NEVER,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=responses // rows,
        num_generations=arguments.samples,
        max_completion_length=arguments.new_tokens,
        temperature=1.0,
        top_k=0,
        beta=0.0,
        epsilon=CLIP_LOW,
        epsilon_high=CLIP_HIGH,
        loss_type="dapo",
        scale_rewards="group",
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


def trl_dataset(folder: str) -> tuple[dict[str, "Problem"], Any]:
    """The problems by prompt, and the prompts as a dataset."""
    from datasets import Dataset

    from aha.model import Tokenizer
    from aha.tasks.registry import load_task
    from aha.trainers.rollouts import Prompter

    prompter = Prompter(TEMPLATE, Tokenizer.from_folder(folder))
    asked = load_task(TASK).problems("train")[:512]
    problems = {prompter.text(problem.question): problem for problem in asked}
    return problems, Dataset.from_list([{"prompt": prompt} for prompt in problems])


def trl_reward(problems: Mapping[str, "Problem"], new_tokens: int) -> Any:
    """Our accuracy and format rewards as a reward function of TRL."""
    from aha.rewards.format import format_reward
    from aha.tasks.registry import load_task

    task = load_task(TASK)

    def reward(
        prompts: list[str], completions: list[str], completion_ids: list[list[int]], **_: Any
    ) -> list[float]:
        assert all(len(ids) == new_tokens for ids in completion_ids)
        return [
            task.score(problems[prompt], text).score + format_reward(text)
            for prompt, text in zip(prompts, completions, strict=True)
        ]

    return reward


if __name__ == "__main__":
    sys.exit(main())
