"""``python -m app.guard PARENT WAY COMMAND...``: run a command that does not outlive the process that started it.

WAY ``signal`` asks the kernel (Linux) for a SIGTERM when the parent ends, then becomes the command. WAY ``pipe`` works
everywhere: it stays beside the command and watches its stdin, a pipe that breaks when the parent ends.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

SIGNAL, PIPE = "signal", "pipe"
_PR_SET_PDEATHSIG = 1


def guarded(command: Sequence[str]) -> list[str]:
    """Give the command line that guards ``command``; start it from a thread that lives on, with a pipe as stdin."""
    way = SIGNAL if sys.platform == "linux" else PIPE
    return [sys.executable, "-m", "app.guard", str(os.getpid()), way, *command]


def become(command: Sequence[str], parent: int) -> None:
    """Turn this process into ``command``, to be told to end when its parent has."""
    # Set here and not before the fork: a child does not inherit it, but a program that is executed keeps it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the process that wanted this one has gone")
    os.execv(command[0], list(command))  # noqa: S606  # a fixed list of arguments, and no shell


def stay_beside(command: Sequence[str]) -> int:
    """Run ``command``, pass signals on to it, and end it when stdin breaks; gives its exit status."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # as above

    def pass_on(number: int, _frame: object) -> None:
        process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)

    def watch() -> None:
        while os.read(0, 1):
            pass
        process.terminate()

    threading.Thread(target=watch, daemon=True).start()
    return process.wait()


def main(arguments: Sequence[str]) -> int:
    """Guard the command that the arguments name."""
    parent, way, *command = arguments
    if way == SIGNAL:
        become(command, int(parent))
    return stay_beside(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
