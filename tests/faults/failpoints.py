"""Failpoints: a process that arms one dies, or sees its disk fill up, at an exact instant; the product has no hooks.

``before-rename:REGEX`` and ``after-rename:REGEX`` die around the moment at which a file appears under its name,
``full:REGEX`` fails to write such files for lack of space, ``pause 3:REGEX`` takes three seconds over it. Those at
commits and rings are in ``commit_points``.
"""

import errno
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

VARIABLE = "FAILPOINT"


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
        case _ if when.startswith("pause "):
            _slowly(where, float(when.removeprefix("pause ")))
        case _:
            raise ValueError(failpoint)


def die() -> None:
    """End as by a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


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


def _slowly(pattern: str, seconds: float) -> None:
    rename = Path.replace

    def replace(self: Path, target: Any) -> Path:
        if re.search(pattern, str(target)):
            end = time.monotonic() + seconds
            while time.monotonic() < end:  # a signal cuts a sleep short
                time.sleep(0.05)
        return rename(self, target)

    Path.replace = replace  # type: ignore[method-assign]
