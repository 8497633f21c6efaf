"""A training process takes what it frees for its next allocation, not fresh pages of the system."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from worker.child import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(8_000_000)
before = faults()
for _ in range(4):
    np.ones(8_000_000)
print(faults() - before)
"""
PAGES = 8_000_000 * 8 // 4096


def faults(how: str) -> int:
    small_pages = os.environ | {"NUMPY_MADVISE_HUGEPAGE": "0"}  # torch asks for no huge ones either
    command = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(command, env=small_pages, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_memory_is_used_again() -> None:
    assert faults("keep") < PAGES / 10
    assert faults("leave") > PAGES  # else nothing needed to be kept
