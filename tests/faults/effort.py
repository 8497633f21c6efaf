"""What the campaign costs: the processor time of everything that it started, killed and orphaned processes included."""

import ctypes
import os
import resource
from contextlib import suppress
from pathlib import Path

from tests.faults.processes import processes

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Have processes whose parent dies come to this one, which then knows what they cost."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def cpu_seconds() -> float:
    """Add up the processor seconds of what has ended, and of what runs as this one's own children."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    running = [pid for pid, parent, _ in processes() if parent == os.getpid()]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages) + sum(map(_with_children, running))


def _with_children(pid: int) -> float:
    """Read what a process and those it has buried have used."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
