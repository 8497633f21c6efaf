"""The servers that are compared: how each is installed, started, asked and understood."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.subject import ROOT, Subject
from scripts.own_service import free_port

HERE = Path(__file__).parent
START_SECONDS = 180.0


@dataclass(frozen=True)
class Contender:
    """One way to serve the model."""

    name: str
    path: str
    body: Callable[[str, str], Any]
    """The request for a text, and the precision that is asked for."""
    label: Callable[[Any], str]
    """The label in an answer."""
    precisions: tuple[str, ...] = ("fp32", "int8")
    program: str | None = None
    """File in bench/rivals, with its requirements beside it; None is this product."""


def _best_of(answer: Any) -> str:
    return str(max(answer["data"][0], key=lambda one: one["score"])["label"])


CONTENDERS = (
    Contender(
        "tunesmith",
        "/predict",
        lambda text, precision: {"model": precision, "inputs": text},
        lambda answer: str(answer["predictions"][0]["label"]),
    ),
    Contender(
        "fastapi-onnx",
        "/predict",
        lambda text, _: {"text": text},
        lambda answer: str(answer["label"]),
        program="fastapi_onnx",
    ),
    Contender(
        "fastapi-pipeline",
        "/predict",
        lambda text, _: {"text": text},
        lambda answer: str(answer["label"]),
        precisions=("fp32",),
        program="fastapi_pipeline",
    ),
    Contender(
        "litserve",
        "/predict",
        lambda text, _: {"text": text},
        lambda answer: str(answer["label"]),
        program="litserve_server",
    ),
    Contender(
        "bentoml",
        "/predict",
        lambda text, _: {"texts": [text]},
        lambda answer: str(answer[0]["label"]),
        program="bentoml_server",
    ),
    Contender(
        "infinity",
        "/classify",
        lambda text, _: {"model": "bench", "input": [text]},
        _best_of,
        precisions=("fp32",),
        program="infinity_server",
    ),
)


def install(contender: Contender, cache: Path) -> Path:
    """Give the interpreter that runs a contender, from a virtual environment that is made once.

    Raises RuntimeError with the last words of pip when its packages cannot be installed.
    """
    if contender.program is None:
        return Path(sys.executable)
    wanted = (HERE / "rivals" / f"{contender.program}.txt").read_text()
    folder = cache / f"{contender.name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not (folder / "complete").is_file():
        requirements = str(HERE / "rivals" / f"{contender.program}.txt")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        done = subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "-r", requirements], capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError((done.stderr or done.stdout).strip().splitlines()[-1])
        (folder / "complete").touch()
    return python


class Server:
    """A started contender."""

    def __init__(self, contender: Contender, process: subprocess.Popen[bytes], port: int, precision: str) -> None:
        self.contender = contender
        self.port = port
        self.precision = precision
        self.start_seconds = 0.0
        self._process = process

    def ask(self, text: str) -> str:
        """Ask for one label."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{self.contender.path}",
            json.dumps(self.contender.body(text, self.precision)).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return self.contender.label(json.load(answer))

    def wait(self, text: str, log: Path) -> None:
        """Wait for the first answer; raises RuntimeError with the end of the log if none comes."""
        began = time.perf_counter()
        while time.perf_counter() - began < START_SECONDS and self._process.poll() is None:
            try:
                self.ask(text)
            except OSError:
                time.sleep(0.05)
            else:
                self.start_seconds = time.perf_counter() - began
                return
        raise RuntimeError("does not start: " + " / ".join(log.read_text(errors="replace").splitlines()[-3:]))

    def load(self, texts: Sequence[str], clients: int, warm_seconds: float, seconds: float) -> dict[str, Any]:
        """Have so many clients ask, from a process of their own."""
        order = {
            "host": "127.0.0.1",
            "port": self.port,
            "path": self.contender.path,
            "headers": {},
            "bodies": [json.dumps(self.contender.body(text, self.precision)) for text in texts],
            "clients": clients,
            "warm_seconds": warm_seconds,
            "seconds": seconds,
        }
        before = self.cpu_seconds()
        done = subprocess.run(
            [sys.executable, "-m", "bench.load"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        found["cpu_ms_per_text"] = round(1e3 * (self.cpu_seconds() - before) / max(found.pop("answered"), 1), 3)
        return found

    def megabytes(self) -> float:
        """Add up the memory of the server's processes; what they share counts once."""
        lines = [line for text in _read(self._process.pid, "smaps_rollup") for line in text.splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

    def cpu_seconds(self) -> float:
        """Add up what the server's processes have computed so far."""
        fields = [text.rpartition(")")[2].split() for text in _read(self._process.pid, "stat")]
        return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(contender: Contender, python: Path, subject: Subject, precision: str, logs: Path) -> Iterator[Server]:
    """Start a fresh server, wait for its first right answer, and end it with all its processes."""
    port = free_port()
    command, environment = _command(contender, python, subject, precision, port)
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{contender.name}-{precision}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=ROOT if contender.program is None else logs,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(contender, process, port, precision)
    try:
        server.wait("a first text", log)
        yield server
    finally:
        _end(process)


def _command(
    contender: Contender, python: Path, subject: Subject, precision: str, port: int
) -> tuple[list[str], Mapping[str, str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TUNESMITH_")}
    if contender.program is None:
        own = {"TUNESMITH_DATA_DIR": str(subject.data_dir), "TUNESMITH_PORT": str(port)}
        return [str(python), "-m", "app", "api"], environment | own | {"TUNESMITH_LOG_LEVEL": "WARNING"}
    program = str(HERE / "rivals" / f"{contender.program}.py")
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return [str(python), program, str(subject.folders[precision]), str(port)], environment | offline


def _members(root: int) -> list[Path]:
    """Give the folders in /proc of a server's process and of all that it has started, in sessions of their own too."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found, places = [root], 0
    while places < len(found):
        found += children.get(found[places], [])
        places += 1
    return [Path("/proc") / str(process) for process in found]


def _read(root: int, name: str) -> list[str]:
    texts = []
    for folder in _members(root):
        try:
            texts.append((folder / name).read_text())
        except OSError:  # it has just ended
            continue
    return texts


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server, first politely, with every process that it has started."""
    members = _members(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(15)
    for folder in members:
        with suppress(ProcessLookupError):
            os.kill(int(folder.name), signal.SIGKILL)
    process.wait()
