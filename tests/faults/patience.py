"""How much slower than usual this machine is now: what waits for others must wait longer on a busy one."""

import functools
import subprocess
import sys
import threading
import time

USUAL_SECONDS = 0.35
"""What the probe takes on an idle machine."""
MOST = 6.0
CROWDED = 2.5
"""How much slower all goes where several fields share the cores."""

_one_at_a_time = threading.Lock()
_crowded = threading.Event()


def expect_a_crowd() -> None:
    """Be more patient from now on: fields are played side by side."""
    _crowded.set()


def slowness() -> float:
    """Give 1 on an idle machine, up to ``MOST`` on a busy one."""
    with _one_at_a_time:
        return min(MOST, _measured() * (CROWDED if _crowded.is_set() else 1.0))


@functools.cache
def _measured() -> float:
    """Measure once, by starting an interpreter with a library in it."""
    began = time.monotonic()
    for _ in range(2):
        subprocess.run([sys.executable, "-c", "import pydantic, sqlalchemy"], check=True)
    return max(1.0, (time.monotonic() - began) / 2 / USUAL_SECONDS)
