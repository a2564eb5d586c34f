r"""`aha serve`: tokens a second with 1, 8 and 32 clients, and beside another server that runs.

Every client sends one chat request a turn, all at once, with its own question and seed, and waits
for the whole answer; the figure is completion tokens (as the server counts them) by the time until
the last answer is there. A warm-up goes first, the servers take turns in every round, figures are
medians over the rounds. The other server is started by whoever measures, for example with

    VLLM_CPU_OMP_THREADS_BIND=1 python -m vllm.entrypoints.openai.api_server \
        --model FOLDER --dtype bfloat16 --port 8001 --no-enable-chunked-prefill

    python benchmarks/serve.py [--model smollm2] [--rounds 3] [--dtype float32 --dtype bfloat16]
    python benchmarks/serve.py --against vllm_cpu_bfloat16=http://127.0.0.1:8001/v1
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a file: make `benchmarks` and `aha` importable
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import ROOT, machine, publish

CLIENTS = (1, 8, 32)
TEMPERATURE = 1.0
TOPICS = ("rivers", "bread", "clocks", "maps", "glass", "bees", "paper", "bridges")


def main() -> int:
    arguments = parse()
    started: list[subprocess.Popen[str]] = []
    servers = dict(given.split("=", 1) for given in arguments.against)
    try:
        for dtype in arguments.dtype or ["float32", "bfloat16"]:
            process, servers[f"aha_{dtype}"] = start(arguments.model, dtype)
            started.append(process)
        rounds = measure(servers, arguments)
    finally:
        for process in started:
            process.terminate()
            process.wait()
    publish("serve", summary(rounds, arguments), dry=arguments.dry)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="smollm2", help="as for aha serve")
    parser.add_argument("--dtype", action="append", help="of aha; repeat")
    parser.add_argument("--against", action="append", default=[], metavar="NAME=URL")
    parser.add_argument("--new-tokens", type=int, default=96, help="at most, of an answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry", action="store_true", help="print, write no result")
    return parser.parse_args()


def start(model: str, dtype: str) -> "tuple[subprocess.Popen[str], str]":
    """A server of ours on a free port, and its address."""
    command = [sys.executable, "-m", "aha.cli.main", "serve", model, "--dtype", dtype, "--port=0"]
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the process)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=errors,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    if not url:
        process.wait()
        errors.seek(0)
        raise SystemExit(errors.read())
    return process, url


def measure(
    servers: dict[str, str], arguments: argparse.Namespace
) -> dict[str, dict[int, list[float]]]:
    """Tokens a second of every server with every number of clients, a value a round."""
    names = {server: model_of(url) for server, url in servers.items()}
    for server, url in servers.items():
        tokens_per_second(url, names[server], max(CLIENTS), 8, seed=0)
    rounds: dict[str, dict[int, list[float]]] = {
        server: {clients: [] for clients in CLIENTS} for server in servers
    }
    for number in range(1, arguments.rounds + 1):
        for clients in CLIENTS:
            for server, url in servers.items():
                speed = tokens_per_second(
                    url, names[server], clients, arguments.new_tokens, seed=1_000 * number
                )
                rounds[server][clients].append(speed)
        latest = {s: {c: round(v[-1]) for c, v in found.items()} for s, found in rounds.items()}
        print(f"round {number}: {latest}", file=sys.stderr)
    return rounds


def tokens_per_second(url: str, model: str, clients: int, new_tokens: int, *, seed: int) -> float:
    """One turn: all clients ask at once."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        tokens = threads.map(
            lambda number: ask(url, model, number, new_tokens, seed + number), range(clients)
        )
        total = sum(tokens)
    return total / (time.perf_counter() - began)


def ask(url: str, model: str, number: int, new_tokens: int, seed: int) -> int:
    """Tokens of one answer."""
    question = f"Write a long story, number {number}, about {TOPICS[number % len(TOPICS)]}."
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": new_tokens,
        "temperature": TEMPERATURE,
        "seed": seed,
    }
    request = urllib.request.Request(
        f"{url}/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=600) as answer:
        tokens: int = json.load(answer)["usage"]["completion_tokens"]
    return tokens


def model_of(url: str) -> str:
    """The name of the model that a server has."""
    try:
        with urllib.request.urlopen(f"{url}/models", timeout=60) as answer:
            name: str = json.load(answer)["data"][0]["id"]
    except OSError as failure:
        raise SystemExit(f"error: {url} cannot be reached: {failure}") from None
    return name


def summary(
    rounds: dict[str, dict[int, list[float]]], arguments: argparse.Namespace
) -> dict[str, Any]:
    medians = {
        server: {str(clients): round(statistics.median(v), 1) for clients, v in found.items()}
        for server, found in rounds.items()
    }
    return {
        "tokens_per_second": medians,
        "rounds": {
            server: {str(clients): [round(x, 1) for x in v] for clients, v in found.items()}
            for server, found in rounds.items()
        },
        "workload": {"model": Path(arguments.model).name, "new_tokens": arguments.new_tokens},
        "machine": machine("torch"),
    }


if __name__ == "__main__":
    raise SystemExit(main())
