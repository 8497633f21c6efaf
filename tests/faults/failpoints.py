"""Failpoints: a process that arms one dies, or sees its disk fill up, at an exact instant; the product has no hooks.

``before-rename:REGEX`` and ``after-rename:REGEX`` die around the moment at which a file appears under its name,
``full:REGEX`` fails to write such files for lack of space, ``pause 3:REGEX`` takes three seconds over it,
``stuck:REGEX`` takes for ever. ``largest-file:BYTES`` has the kernel itself refuse what makes a file larger,
``memory-killer:`` lets a worker see what ``kill_for_memory`` does. ``gpu-full:STEP TIMES`` and ``nan:STEP`` spoil a
step of a real training; zero times is always. Those at commits and rings are in ``commit_points``.
"""

import errno
import importlib
import os
import re
import resource
import signal
import threading
import time
from pathlib import Path
from typing import Any

VARIABLE = "FAILPOINT"
KILLS = "memory_kills"


def arm(failpoint: str) -> None:
    """Set a trap in this process; an empty one is none."""
    when, _, where = failpoint.partition(":")
    match when:
        case "":
            return
        case "before-rename" | "after-rename":
            _at_rename(when == "before-rename", where)
        case "full":
            _at_write(where)
        case "stuck":
            _never(where)
        case "largest-file":
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(where), resource.RLIM_INFINITY))
        case "memory-killer":
            _see_memory_kills(Path(os.environ["TUNESMITH_DATA_DIR"]))
        case "gpu-full" | "nan":
            importlib.import_module("tests.faults.bad_steps").arm(when, where)
        case _ if when.startswith("pause "):
            _slowly(where, float(when.removeprefix("pause ")))
        case _:
            raise ValueError(failpoint)


def die() -> None:
    """End as by a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_for_memory(folder: Path) -> None:
    """End as by the kernel's out-of-memory killer, which counts whom it kills."""
    with (folder / KILLS).open("a") as file:
        file.write("oom_kill 1\n")
    die()


def _see_memory_kills(folder: Path) -> None:
    attempt = importlib.import_module("worker.attempt")
    outcome = importlib.import_module("worker.outcome")
    attempt.memory_kills = lambda: outcome.counted_kills(folder / KILLS)


def _at_rename(before: bool, pattern: str) -> None:
    rename = Path.replace

    def replace(self: Path, target: Any) -> Path:
        hit = re.search(pattern, str(target))
        if hit and before:
            die()
        place = rename(self, target)
        if hit:
            die()
        return place

    Path.replace = replace  # type: ignore[method-assign]


def _at_write(pattern: str) -> None:
    rename = Path.replace

    def replace(self: Path, target: Any) -> Path:
        if re.search(pattern, str(target)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(self, target)

    Path.replace = replace  # type: ignore[method-assign]


def _never(pattern: str) -> None:
    rename = Path.replace

    def replace(self: Path, target: Any) -> Path:
        if re.search(pattern, str(target)):
            threading.Event().wait()  # as a hard-mounted disk whose server has gone
        return rename(self, target)

    Path.replace = replace  # type: ignore[method-assign]


def _slowly(pattern: str, seconds: float) -> None:
    rename = Path.replace

    def replace(self: Path, target: Any) -> Path:
        if re.search(pattern, str(target)):
            end = time.monotonic() + seconds
            while time.monotonic() < end:  # a signal cuts a sleep short
                time.sleep(0.05)
        return rename(self, target)

    Path.replace = replace  # type: ignore[method-assign]
