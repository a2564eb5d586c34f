"""Rollout speed: aha's engine against `generate` of transformers, on this machine.

Same random weights, prompts, batch and lengths; nothing ends a text, so that every row gets exactly
the same number of new tokens. Aha runs as a user gets it on two cores, two processes of one thread
with half of the rows each, and also as one process. transformers runs as one process, with one and
with two threads, and its better setting counts. All take turns in every round; figures are medians
over the rounds.

    python benchmarks/rollout.py [--rows 256] [--new-tokens 128] [--kv-heads 4] [--rounds 5]

Needs transformers beside aha: pip install 'aha-rl[hf]'
"""

import argparse
import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file: make `benchmarks` and `aha` importable
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import Worker, machine, publish, wait_for_turn

MODULE = "benchmarks.rollout"
LIMIT = 10.0
"""Times that our rollout shall be faster."""
VOCAB, SHARED_TOKENS, OWN_TOKENS = 1000, 75, 15
SAMPLES_PER_PROMPT = 8


def main() -> int:
    arguments = parse()
    if importlib.util.find_spec("transformers") is None:
        print("error: this compares with transformers, which is not installed", file=sys.stderr)
        print("hint: pip install 'aha-rl[hf]'", file=sys.stderr)
        return 2
    if arguments.worker:
        work(arguments)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        write_model(folder, arguments.kv_heads)
        speeds = measure(arguments, folder)
    publish("rollout", summary(arguments, speeds), dry=arguments.dry)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=256, help="completions decoded at once")
    parser.add_argument("--new-tokens", type=int, default=128, help="of every completion")
    parser.add_argument("--kv-heads", type=int, default=4, help="key heads beside 4 query heads")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="print, write no result")
    parser.add_argument("--worker", choices=["aha", "transformers"], help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def random_prompts(num_prompts: int) -> list[list[int]]:
    """Prompts of 90 tokens, of which the first 75 are common, as with the R1-Zero template."""
    shared = [(i * i * 7 + 3) % (VOCAB - 2) + 2 for i in range(SHARED_TOKENS)]
    own = [
        [(number * 31 + i * i * 11 + 5) % (VOCAB - 2) + 2 for i in range(OWN_TOKENS)]
        for number in range(num_prompts)
    ]
    return [shared + tokens for tokens in own]


def write_model(folder: str, kv_heads: int) -> None:
    """A tiny Llama of 4 layers, 128 wide, with random weights, that knows no end of text."""
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


def measure(arguments: argparse.Namespace, folder: str) -> dict[str, list[float]]:
    """Tokens a second of every setting in every round; the settings take turns."""
    settings = {
        "aha_2_processes": ("aha", 2, 1),
        "aha_1_process": ("aha", 1, 1),
        "transformers_1_thread": ("transformers", 1, 1),
        "transformers_2_threads": ("transformers", 1, 2),
    }
    teams: dict[str, list[Worker]] = {name: [] for name in settings}
    speeds: dict[str, list[float]] = {name: [] for name in settings}
    try:
        for name, (kind, size, threads) in settings.items():
            print(f"warming up {name}", file=sys.stderr)
            options = [f"--worker={kind}", f"--folder={folder}"]
            options += [f"--rows={arguments.rows // size}", f"--new-tokens={arguments.new_tokens}"]
            for _ in range(size):
                teams[name].append(Worker(MODULE, *options, threads=threads))
        for number in range(arguments.rounds):
            for name, team in teams.items():
                if not (name == "transformers_2_threads" and hopeless(speeds)):
                    tokens = arguments.rows * arguments.new_tokens
                    speeds[name].append(tokens / together(team))
            latest = {name: round(values[-1]) for name, values in speeds.items()}
            print(f"round {number + 1}, tokens/s: {latest}", file=sys.stderr)
    finally:
        for worker in (worker for team in teams.values() for worker in team):
            worker.stop()
    return speeds


def together(team: list[Worker]) -> float:
    """Seconds until all have done one piece of work side by side."""
    with ThreadPoolExecutor(len(team)) as pool:
        return max(pool.map(Worker.seconds, team))


def hopeless(speeds: dict[str, list[float]]) -> bool:
    """Two threads under half the speed of one: on a busy machine a round takes minutes."""
    one, two = speeds["transformers_1_thread"], speeds["transformers_2_threads"]
    return bool(two) and statistics.median(two) < statistics.median(one) / 2


def summary(arguments: argparse.Namespace, speeds: dict[str, list[float]]) -> dict[str, Any]:
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    theirs = max(medians["transformers_1_thread"], medians["transformers_2_threads"])
    one_thread = medians["aha_1_process"] / medians["transformers_1_thread"]
    return {
        "ratios": {
            "rollout_vs_transformers": round(medians["aha_2_processes"] / theirs, 2),
            "rollout_one_core_vs_transformers_one_core": round(one_thread, 2),
        },
        "limits": {"rollout_vs_transformers": LIMIT},
        "tokens_per_second": {name: round(value) for name, value in medians.items()},
        "rounds": {name: [round(value) for value in values] for name, values in speeds.items()},
        "workload": {
            "rows": arguments.rows,
            "prompt_tokens": SHARED_TOKENS + OWN_TOKENS,
            "shared_tokens": SHARED_TOKENS,
            "samples_per_prompt": SAMPLES_PER_PROMPT,
            "new_tokens": arguments.new_tokens,
            "model": f"Llama, 4 layers, 128 wide, 4 heads, {arguments.kv_heads} key heads, float32",
        },
        "machine": machine("torch", "transformers"),
    }


def work(arguments: argparse.Namespace) -> None:
    """Sample once to warm up, then once for every turn."""
    import torch

    torch.set_num_threads(arguments.threads)
    prompts = random_prompts(arguments.rows // SAMPLES_PER_PROMPT)
    sampler = our_sampler if arguments.worker == "aha" else their_sampler
    sample = sampler(arguments.folder, prompts, arguments.new_tokens)
    while True:
        assert sample() == arguments.rows * arguments.new_tokens
        wait_for_turn()


def our_sampler(folder: str, prompts: list[list[int]], new_tokens: int) -> Callable[[], int]:
    from aha.engine import Engine, SamplingParams
    from aha.model import load_model

    loaded = load_model(folder)
    engine = Engine(loaded.model, loaded.tokenizer)
    params = SamplingParams(max_new_tokens=new_tokens, stop_at_eos=False)

    def sample() -> int:
        groups = engine.generate(prompts, params, samples_per_prompt=SAMPLES_PER_PROMPT)
        return sum(len(completion.token_ids) for group in groups for completion in group)

    return sample


def their_sampler(folder: str, prompts: list[list[int]], new_tokens: int) -> Callable[[], int]:
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    rows = torch.tensor(prompts).repeat_interleave(SAMPLES_PER_PROMPT, 0)
    options = {"do_sample": True, "top_k": 0, "max_new_tokens": new_tokens, "pad_token_id": 0}

    def sample() -> int:
        with torch.inference_mode():
            out = model.generate(rows, attention_mask=torch.ones_like(rows), **options)
        return out.shape[0] * (out.shape[1] - len(prompts[0]))

    return sample


if __name__ == "__main__":
    sys.exit(main())
