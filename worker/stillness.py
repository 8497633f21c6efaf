"""Tells what works, or waits in turns, from what is stuck in a call that never returns, as to a hard-mounted disk."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


class Stillness:
    """Watches a number that grows with all that is done; without one it cannot tell, and takes nothing for stuck."""

    def __init__(self, read: Callable[[], float | None]) -> None:
        self._read = read
        self._newest = read()
        self._since = time.monotonic()

    def seconds(self) -> float:
        """Give for how long nothing was done, as far as those who asked could see."""
        read = self._read()
        if read is None or read != self._newest:
            self._newest, self._since = read, time.monotonic()
        return time.monotonic() - self._since


def of_this_thread() -> Stillness:
    """Watch the calling thread by its processor time: a thread that waits for the kernel alone uses none."""
    if sys.platform != "linux":
        return Stillness(lambda: None)
    # The clock is named by the thread's number: once the thread has ended, it cannot be read, and that is no harm.
    thread_clock = time.pthread_getcpuclockid(threading.get_ident())

    def read() -> float | None:
        try:
            return time.clock_gettime(thread_clock)
        except OSError:
            return None

    return Stillness(read)


def of_process(pid: int) -> Stillness:
    """Watch another process by the bytes that it has read and written."""

    def read() -> float | None:
        try:
            lines = Path(f"/proc/{pid}/io").read_text().splitlines()
        except OSError:
            return None
        return float(sum(int(line.split()[1]) for line in lines if line.startswith(("rchar", "wchar"))))

    return Stillness(read)
