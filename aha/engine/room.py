"""How many rows decode at once so that their keys and values stay in the processor's cache.

On an AMD EPYC whose two cores share 32 MB, 128 texts of 128 tokens of a model whose tokens take 4
KB were sampled at 58,000 tokens a second of one core's time 16 rows at once, 53,000 with 32, 44,000
with 64 and 39,000 with all 128: a step reads every row's keys and values, and the memory gives a
core half of what the cache does.
"""

import functools
from pathlib import Path

from aha.model.config import ModelConfig

CPU = Path("/sys/devices/system/cpu/cpu0/cache")
ASSUMED_BYTES = 8 << 20
"""Of cache for a core where the system does not tell."""
FEWEST_ROWS = 16
"""Fewer read the weights too often for too little work."""


def token_bytes(config: ModelConfig) -> int:
    """Of the float32 keys and values of a token."""
    return 2 * 4 * config.num_layers * config.num_kv_heads * config.head_dim


def cached_rows(config: ModelConfig, *, num_weights: int, tokens_per_row: int) -> int | None:
    """Rows whose keys and values take half of a core's share of the cache, at least 16.

    None where the weights alone take more than half: then many rows share each read of them.
    """
    half = core_share_bytes() // 2
    if 4 * num_weights > half:
        return None
    return max(FEWEST_ROWS, half // (tokens_per_row * token_bytes(config)))


@functools.cache
def core_share_bytes(folder: Path = CPU) -> int:
    """Of the last cache, divided by the cores that share it."""
    levels = sorted(folder.glob("index*"))
    try:
        size = (levels[-1] / "size").read_text().strip()
        sharers = (levels[-1] / "shared_cpu_list").read_text().strip()
        return int(size.removesuffix("K")) * 1024 // _count(sharers)
    except (OSError, ValueError, IndexError):
        return ASSUMED_BYTES


def _count(ranges: str) -> int:
    """Numbers in a list as of the kernel: 0-3,8-11 has 8."""
    ends = [part.split("-") for part in ranges.split(",")]
    return sum(int(pair[-1]) - int(pair[0]) + 1 for pair in ends)
