"""The processors that this process may use: how many, and which of them each of several threads keeps to.

A system left to itself lets two threads that compute share one core for hundredths of a second while the other is idle.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import pairwise
from pathlib import Path

Share = frozenset[int]
"""The processors that one thread keeps to, by their numbers; none of them: it may run on all."""

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_TOPOLOGY = Path("/sys/devices/system/cpu")


def usable_cpus() -> int:
    """Count the processors this process may use: its affinity, and the CPU quota of its container."""
    allowed = len(_allowed()) or os.cpu_count() or 1
    return max(1, min(allowed, cgroup_cpus(_QUOTA) or allowed))


def cgroup_cpus(quota_file: Path) -> int | None:
    """Read the CPU quota of a control group, in whole processors; None: no limit."""
    if not quota_file.is_file():
        return None
    quota, _, period = quota_file.read_text().strip().partition(" ")
    return None if quota == "max" else max(1, int(quota) // int(period))


def anywhere(threads: int) -> tuple[Share, ...]:
    """Let so many threads run on all processors."""
    return (Share(),) * threads


def dealt(threads: int) -> tuple[Share, ...]:
    """Deal the processors out to so many threads, those of one core to the same; too few are left to all."""
    allowed = sorted(_allowed(), key=lambda cpu: (*_core(cpu), cpu))
    if len(allowed) < threads:
        return anywhere(threads)
    ends = [len(allowed) * number // threads for number in range(threads + 1)]
    return tuple(Share(allowed[start:end]) for start, end in pairwise(ends))


@contextmanager
def kept_to(share: Share) -> Iterator[None]:
    """Keep this thread, and those that it starts meanwhile, to some processors, where the system lets it."""
    wanted = share or _allowed()
    before = os.sched_getaffinity(0) if wanted else wanted  # of this thread
    if wanted == before:
        yield
        return
    with suppress(OSError):  # it goes on wherever it is put: slower perhaps, but right
        os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, before)


@contextmanager
def drawn_to(thread: int, share: Share) -> Iterator[None]:
    """Let another thread, by its native number, run on some processors only; none of them: as it did.

    If it runs it is moved there, and if it is woken meanwhile it wakes there. Afterwards it may run on all again, but
    the system leaves it where it is while it can. What it starts meanwhile is kept to them too: be quick.
    """
    if not share or share == _allowed():
        yield
        return
    with suppress(OSError):
        os.sched_setaffinity(thread, share)
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(thread, _allowed())


@cache
def _allowed() -> Share:
    """Give the processors that this process may use, as of the first call; none if the system does not say."""
    return Share(os.sched_getaffinity(os.getpid())) if hasattr(os, "sched_getaffinity") else Share()


def _core(cpu: int) -> tuple[int, int]:
    """Tell in which package and core a processor is."""
    topology = _TOPOLOGY / f"cpu{cpu}" / "topology"
    try:
        return int((topology / "physical_package_id").read_text()), int((topology / "core_id").read_text())
    except (OSError, ValueError):
        return 0, cpu
