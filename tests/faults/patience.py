"""How much slower than usual this machine is now: what waits for others must wait longer on a busy one."""

import functools
import subprocess
import sys
import time

USUAL_SECONDS = 0.35
"""What the probe takes on an idle machine."""
MOST = 6.0


@functools.cache
def slowness() -> float:
    """Measure once, by starting an interpreter with a library in it; 1 on an idle machine."""
    began = time.monotonic()
    for _ in range(2):
        subprocess.run([sys.executable, "-c", "import pydantic, sqlalchemy"], check=True)
    return min(MOST, max(1.0, (time.monotonic() - began) / 2 / USUAL_SECONDS))
