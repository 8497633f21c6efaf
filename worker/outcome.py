"""What the end of a training process means for its job."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.errors import JobFailure
from worker.events import (
    EXIT_DIVERGED,
    EXIT_DONE,
    EXIT_OUT_OF_MEMORY,
    EXIT_REFUSED,
    EXIT_STOPPED,
)
from worker.failures import crashed, killed_for_memory, out_of_memory, overran, stalled

Cause = Literal["cancel", "drain", "stalled", "lost", "budget"]
"""Why the parent ended a process before its time."""

Ending = Literal["bundle", "stopped", "failed", "crashed", "lost"]
"""bundle: publish it. stopped: give the job back. failed: for good. crashed: counts. lost: not ours, write nothing."""

_FINAL = frozenset({EXIT_REFUSED, EXIT_DIVERGED, EXIT_OUT_OF_MEMORY})


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended; ``error`` is the job's error if it comes to that."""

    ending: Ending
    error: dict[str, Any] | None = None
    manifest_sha256: str | None = None
    reason: str | None = None
    """Why the job is given back, when it was neither a cancel nor the end of the worker."""
    transient: bool = False
    """True when a service that every job needs is away: it is wise to wait before the next claim."""


@dataclass(frozen=True)
class Farewell:
    """All that is known when a process has ended."""

    exit_code: int
    """Negative: the signal that ended it."""
    cause: Cause | None = None
    phase: str | None = None
    error: dict[str, Any] | None = None
    """What the process itself said of its failure."""
    manifest_sha256: str | None = None
    memory_killer_came: bool = False
    began_used_up: bool = False
    """Whether the job's budget was used up when the process began."""


def judge(end: Farewell) -> Outcome:
    """Say what to do about an ended process; a pure function, so that every case is tested."""
    if end.cause == "lost":
        return Outcome("lost")
    if end.exit_code == EXIT_DONE and end.manifest_sha256 is not None:
        return Outcome("bundle", manifest_sha256=end.manifest_sha256)
    if end.cause == "stalled":
        return Outcome("crashed", stalled().as_dict(end.phase))
    if end.cause == "budget":
        return _overran(end)
    if end.exit_code in _FINAL and end.cause != "cancel":
        return Outcome("failed", end.error or _unexplained(end.exit_code).as_dict(end.phase))
    if end.cause is not None or end.exit_code == EXIT_STOPPED:
        return Outcome("stopped")
    return Outcome("crashed", end.error or _crash(end).as_dict(end.phase))


def _overran(end: Farewell) -> Outcome:
    """Let another attempt make a version of what was saved; one that was begun for just that has crashed."""
    if end.began_used_up:
        return Outcome("crashed", overran().as_dict(end.phase))
    return Outcome("stopped", reason="The budget of training was used up, and the process did not end by itself.")


def _unexplained(exit_code: int) -> JobFailure:
    if exit_code == EXIT_OUT_OF_MEMORY:
        return out_of_memory(device=True)
    return crashed(f"The training process refused the job with exit code {exit_code} and without a reason.")


def _crash(end: Farewell) -> JobFailure:
    if end.exit_code == EXIT_DONE:
        return crashed("The training process ended without a bundle.")
    if end.exit_code >= 0:
        return crashed(f"The training process ended with exit code {end.exit_code}.")
    if end.exit_code == -signal.SIGKILL:
        return killed_for_memory(certain=end.memory_killer_came)
    return crashed(f"The training process was ended by {signal_name(-end.exit_code)}.")


def signal_name(number: int) -> str:
    """Name a signal as people do: SIGSEGV."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def memory_kills() -> int:
    """Count the processes that the kernel has killed for memory, in this container and on this machine, so far."""
    return sum(counted_kills(path) for path in (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat")))


def counted_kills(path: Path) -> int:
    """Read what the kernel counts in one of its files; 0 where there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
