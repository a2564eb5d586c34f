"""The peak memory of a process, and measuring it anew."""

import subprocess
import sys

import pytest

from aha.pipeline.machine import peak_memory_bytes, reset_peak_memory

MEASURE = """
import sys
from aha.pipeline.machine import peak_memory_bytes, reset_peak_memory
small = peak_memory_bytes()
block = bytearray(64 << 20)
large = peak_memory_bytes()
del block
print(small, large, reset_peak_memory(), peak_memory_bytes())
"""


def test_the_peak_grows_with_what_is_held_and_falls_when_measured_anew():
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True)
    small, large, was_reset, after = done.stdout.split()
    assert 60 << 20 < int(large) - int(small) < 80 << 20
    if was_reset == "False":
        pytest.skip("this system can not reset it")
    assert int(after) < int(small) + (8 << 20)


def test_it_is_a_plausible_number_of_bytes():
    reset_peak_memory()
    assert 5 << 20 < peak_memory_bytes() < 1 << 40
