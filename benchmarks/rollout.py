"""Rollout speed: aha's engine against `generate` of transformers, on this machine.

Same random weights, prompts, batch and lengths; end of text is disabled, so that every row gets
exactly the same number of new tokens. Aha runs as a user gets it on two cores, two processes of one
thread with half of the rows each, and also as one process. transformers runs as one process with
one and with two threads, and its better setting counts. All take turns in every round; figures are
medians over the rounds.

    python -m benchmarks.rollout [--rows 256] [--new-tokens 128] [--rounds 5]

Needs transformers (`pip install 'aha-rl[hf]'`).
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "rollout.json"
LIMITS = {"rollout_vs_transformers": 10.0}
VOCAB, SHARED_TOKENS, OWN_TOKENS = 1000, 75, 15
SAMPLES_PER_PROMPT = 8


def main() -> int:
    arguments = _parse()
    if importlib.util.find_spec("transformers") is None:
        print("error: this benchmark compares with transformers, which is not installed")
        print("hint: pip install 'aha-rl[hf]'")
        return 2
    if arguments.worker:
        return _work(arguments)
    with tempfile.TemporaryDirectory() as folder:
        _write_model(folder, arguments.kv_heads)
        speeds = _measure(arguments, folder)
    result = _summary(arguments, speeds)
    if not arguments.dry:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=256, help="completions decoded at once")
    parser.add_argument("--new-tokens", type=int, default=128, help="of every completion")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kv-heads", type=int, default=4, help="key heads of the model's 4 heads")
    parser.add_argument("--dry", action="store_true", help="print, write no result")
    parser.add_argument("--worker", choices=["aha", "transformers"], help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    return parser.parse_args()


def _prompts(num_prompts: int) -> list[list[int]]:
    """Prompts of 90 tokens, of which the first 75 are common, as with the R1-Zero template."""
    shared = [(i * i * 7 + 3) % (VOCAB - 2) + 2 for i in range(SHARED_TOKENS)]
    return [
        [*shared, *((number * 31 + i * i * 11 + 5) % (VOCAB - 2) + 2 for i in range(OWN_TOKENS))]
        for number in range(num_prompts)
    ]


def _write_model(folder: str, kv_heads: int) -> None:
    """A tiny Llama of 4 layers, 128 wide, with random weights."""
    import tokenizers
    import torch

    from aha.model import Decoder, ModelConfig, Tokenizer, save_model

    config = ModelConfig(
        vocab_size=VOCAB,
        hidden_size=128,
        intermediate_size=384,
        num_layers=4,
        num_heads=4,
        num_kv_heads=kv_heads,
        head_dim=32,
        max_positions=512,
    )
    torch.manual_seed(0)
    words = tokenizers.models.WordLevel({f"w{i}": i for i in range(VOCAB)}, unk_token="w0")
    save_model(folder, Decoder(config), Tokenizer(tokenizers.Tokenizer(words)))


class Worker:
    """A process that holds a model and, on each line it reads, samples once."""

    def __init__(self, arguments: argparse.Namespace, folder: str, *options: str, threads: int):
        sizes = ["--new-tokens", str(arguments.new_tokens), "--threads", str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.rollout", "--model", folder, *sizes, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        self.wait()

    def start(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def wait(self) -> int:
        """New tokens of the run that was started."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"error: a worker died: {' '.join(map(str, self.process.args))}")
        return int(line)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def _measure(arguments: argparse.Namespace, folder: str) -> dict[str, list[float]]:
    """Tokens a second of every setting in every round, after one warm-up."""
    whole, half = str(arguments.rows), str(arguments.rows // 2)
    settings = {
        "aha_2_processes": [("aha", half, 1), ("aha", half, 1)],
        "aha_1_process": [("aha", whole, 1)],
        "transformers_1_thread": [("transformers", whole, 1)],
        "transformers_2_threads": [("transformers", whole, 2)],
    }
    teams = {
        name: [
            Worker(arguments, folder, "--worker", kind, "--rows", rows, threads=threads)
            for kind, rows, threads in members
        ]
        for name, members in settings.items()
    }
    speeds: dict[str, list[float]] = {name: [] for name in teams}
    try:
        for number in range(arguments.rounds):
            for name, team in teams.items():
                slow = name == "transformers_2_threads" and number and _hopeless(speeds)
                if not slow:
                    speeds[name].append(_run_once(team))
            latest = {name: round(values[-1]) for name, values in speeds.items()}
            print(f"round {number + 1}: {latest}", file=sys.stderr)
    finally:
        for team in teams.values():
            for worker in team:
                worker.stop()
    return speeds


def _hopeless(speeds: dict[str, list[float]]) -> bool:
    """Two threads under half the speed of one: on a busy machine a round can take minutes."""
    one, two = speeds["transformers_1_thread"], speeds["transformers_2_threads"]
    return statistics.median(two) < statistics.median(one) / 2


def _run_once(team: list[Worker]) -> float:
    started = time.perf_counter()
    for worker in team:
        worker.start()
    tokens = sum(worker.wait() for worker in team)
    return tokens / (time.perf_counter() - started)


def _summary(arguments: argparse.Namespace, speeds: dict[str, list[float]]) -> dict[str, Any]:
    import torch
    import transformers

    medians = {name: statistics.median(values) for name, values in speeds.items()}
    theirs = max(medians["transformers_1_thread"], medians["transformers_2_threads"])
    return {
        "ratios": {
            "rollout_vs_transformers": round(medians["aha_2_processes"] / theirs, 2),
            "rollout_1_process_vs_transformers": round(medians["aha_1_process"] / theirs, 2),
        },
        "limits": LIMITS,
        "tokens_per_second": {name: round(value) for name, value in medians.items()},
        "rounds": {name: [round(value) for value in values] for name, values in speeds.items()},
        "workload": {
            "rows": arguments.rows,
            "prompt_tokens": SHARED_TOKENS + OWN_TOKENS,
            "shared_tokens": SHARED_TOKENS,
            "new_tokens": arguments.new_tokens,
            "model": f"Llama, 4 layers, 128 wide, 4 heads, {arguments.kv_heads} key heads, float32",
        },
        "machine": {
            "cpu": _cpu_name(),
            "cores": os.cpu_count(),
            "load": [round(value, 2) for value in os.getloadavg()],
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _work(arguments: argparse.Namespace) -> int:
    """Sample once to warm up, then once for every line read; print the number of new tokens."""
    import torch

    torch.set_num_threads(arguments.threads)
    prompts = _prompts(arguments.rows // SAMPLES_PER_PROMPT)
    sample = _aha_sampler if arguments.worker == "aha" else _transformers_sampler
    run = sample(arguments.model, prompts, arguments.new_tokens)
    print(run(), flush=True)
    for _ in sys.stdin:
        print(run(), flush=True)
    return 0


def _aha_sampler(folder: str, prompts: list[list[int]], new_tokens: int) -> Any:
    from aha.engine import Engine, SamplingParams
    from aha.model import load_model

    loaded = load_model(folder)
    engine = Engine(loaded.model, loaded.tokenizer)
    params = SamplingParams(max_new_tokens=new_tokens, stop_at_eos=False)

    def run() -> int:
        groups = engine.generate(prompts, params, samples_per_prompt=SAMPLES_PER_PROMPT)
        return sum(len(completion.token_ids) for group in groups for completion in group)

    return run


def _transformers_sampler(folder: str, prompts: list[list[int]], new_tokens: int) -> Any:
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    rows = torch.tensor(prompts).repeat_interleave(SAMPLES_PER_PROMPT, 0)
    options = {"do_sample": True, "top_k": 0, "max_new_tokens": new_tokens, "pad_token_id": 0}

    def run() -> int:
        with torch.inference_mode():
            out = model.generate(rows, attention_mask=torch.ones_like(rows), **options)
        assert out.shape == (len(rows), len(prompts[0]) + new_tokens)
        return len(rows) * new_tokens

    return run


if __name__ == "__main__":
    sys.exit(main())
