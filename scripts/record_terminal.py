"""Write docs/guide/terminal.md: what a newcomer sees in a terminal, recorded from a service that really runs.

    python scripts/record_terminal.py

Starts a service of its own in a folder that goes away again, types the commands into a terminal of 80 columns, and
keeps what stood on its screen. Takes two or three minutes without a GPU.
"""

import codecs
import fcntl
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.own_service import own_service  # noqa: E402  # only now is it known where scripts is

PAGE = ROOT / "docs" / "guide" / "terminal.md"
COLUMNS, LINES = 80, 44
COMMAND_SECONDS = 400.0
QUIET_SECONDS = 0.04
"""Between two frames there is a longer pause than between two pieces of one."""
CONTROL = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|(\r|\n)|\x1b.|([^\x1b\r\n]+)")
SAMPLE = "examples/data/customer_messages.csv"
NOTE = "<!-- Written by scripts/record_terminal.py from a service that ran: change that, then run the script. -->"
HEAD = f"""\
# In a terminal
{NOTE}

A first session, as it looked. The service runs already (`make run`); the data are the [sample
messages](../../examples/data/README.md) that come with it. [The reference](../reference/command-line.md) has every
command and flag.
"""


class Screen:
    """As much of a terminal as rich needs: text, line ends, moving up, erasing a line."""

    def __init__(self) -> None:
        self.lines: list[str] = [""]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        """Take in what a program printed."""
        for found in CONTROL.finditer(text):
            count, command, line_end, words = found.groups()
            if words:
                self._write(words)
            elif line_end == "\r":
                self._column = 0
            elif line_end == "\n":
                self._row, self._column = self._row + 1, 0
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif command == "A":
                self._row = max(0, self._row - int(count or 1))
            elif command == "K":
                self.lines[self._row] = "" if count == "2" else self.lines[self._row][: self._column]

    def _write(self, words: str) -> None:
        line = self.lines[self._row].ljust(self._column)
        self.lines[self._row] = line[: self._column] + words + line[self._column + len(words) :]
        self._column += len(words)

    def text(self) -> str:
        """Give what stands on the screen."""
        return "\n".join(line.rstrip() for line in self.lines).strip("\n")


class Terminal:
    """Types commands against one service and keeps what the screen showed."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def run(self, command: Sequence[str], *, watched: str | None = None) -> list[str]:
        """Run a command to its end; gives its last screen, and before it the first one on which ``watched`` stands."""
        here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-m", "app", *command],
            cwd=ROOT, env=self._environment, stdin=there, stdout=there, stderr=there, start_new_session=True,
        )  # fmt: skip
        os.close(there)
        screen, kept = Screen(), []
        deadline = time.monotonic() + COMMAND_SECONDS
        try:
            for part in _read(here, deadline):
                screen.feed(part)
                if watched is not None and not kept and re.search(watched, screen.text()):
                    kept.append(screen.text())
            status = process.wait(5)
        finally:
            process.kill()  # where it took too long; one that has ended hears nothing
            os.close(here)
        if status != 0:
            sys.exit(f"{command} failed:\n{screen.text()}")
        if watched is not None and not kept:
            sys.exit(f"{command} never showed {watched}:\n{screen.text()}")
        return [*kept, screen.text()]


def _read(place: int, deadline: float) -> Iterator[str]:
    """Give what is written to a terminal until it is closed, in the pieces that make whole frames."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    while time.monotonic() < deadline:
        if not select.select([place], [], [], 1.0)[0]:
            continue
        found = b""
        while select.select([place], [], [], QUIET_SECONDS)[0]:  # a frame comes in several pieces
            try:
                piece = os.read(place, 65536)
            except OSError:  # the other end is closed
                piece = b""
            if not piece:
                yield decoder.decode(found)
                return
            found += piece
        yield decoder.decode(found)
    sys.exit("a command took too long")


def main() -> None:
    with own_service({}) as service:
        PAGE.write_text(record(Terminal(environment(service.url))), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


def environment(url: str) -> dict[str, str]:
    """Give what the commands see of the world: a plain terminal and the service."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("TUNESMITH_")}
    return known | {"TUNESMITH_URL": url, "TERM": "xterm", "NO_COLOR": "1"}


def record(terminal: Terminal) -> str:
    """Play the session and write the page."""
    train = f"train {SAMPLE} --model messages --base-model minilm-l6"
    running, done = terminal.run(shlex.split(train), watched=r"epoch [3-9]\.\d")
    parts = [
        HEAD,
        "## Train\nOne command uploads the file, queues a job and shows it. While it trains:",
        _shown(train, running),
        "The bar is the whole run; under it the curves: how wrong the model is on what it learns from, and how good\n"
        "on rows that it does not learn from. Ctrl-C ends the watching, not the job; `python -m app watch` takes it\n"
        "up again. At the end:",
        _shown(None, _end_of(done)),
        "The last lines say what it scored on rows kept aside, and what a model would have to beat. [The quick\n"
        "start](../quickstart.md) explains every number.",
    ]
    again = f"train {SAMPLE} --model messages --base-model minilm-l6 --epochs 2 --lr 4e-4"
    parts += ["## Train again, compare\nAnother try, shorter and with larger steps:"]
    parts.append(_shown(again, _end_of(terminal.run(shlex.split(again))[-1])))
    jobs = terminal.run(["jobs"])[-1]
    ids = re.findall(r"job_[0-9a-f]{32}", jobs)
    parts += [_shown("jobs", jobs)]
    compare = f"compare {ids[1]} {ids[0]}"
    parts += [_shown(compare, terminal.run(shlex.split(compare))[-1])]
    parts += ["## Let one of them serve\n`champion` is the version that a plain name means."]
    for command in ("promote messages 1", "models messages", 'predict messages "Where is my parcel?" "Well done!"'):
        parts.append(_shown(command, terminal.run(shlex.split(command))[-1]))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _end_of(screen: str) -> str:
    """Leave out of a last screen the picture that stood there before."""
    return screen[screen.index("Done in") :] if "Done in" in screen else screen


def _shown(command: str | None, screen: str) -> str:
    typed = "" if command is None else f"$ python -m app {command}\n"
    return f"```text\n{typed}{screen}\n```"


if __name__ == "__main__":
    main()
