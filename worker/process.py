"""A training process as its parent sees it: how it is started, fed, heard, stopped and buried."""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import worker
from app.schemas.base import LEAN
from worker.events import FINISH, SAVE_AND_STOP, Message

LONGEST_EVENT = 64 * 1024 * 1024
"""Bytes of one event line; the confusion matrix of a thousand labels takes some eight million."""
UNKILLABLE_SECONDS = 10.0

_CHUNK = 1024 * 1024
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_PASSED_ON_PREFIXES = ("CUDA_", "NVIDIA_", "OMP_", "MKL_", "PYTORCH_", "TORCH_NCCL_", "NCCL_")


_WAY_OUT = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle")
_WAY_OUT_PREFIXES = ("HF_", "HUGGING_FACE_HUB_", "HUGGINGFACE_HUB_", "SSL_CERT_", "XDG_CACHE_")
_PR_SET_DUMPABLE = 4


def conceal() -> None:
    """Close what the kernel shows of this process, its environment above all, to its children; root sees it still."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def reaching_out(environment: Mapping[str, str]) -> dict[str, str]:
    """Give what a process needs that brings something from a hub: proxies, certificates, the hub's own settings."""
    return {
        name: value
        for name, value in environment.items()
        if name in _PASSED_ON or name.lower() in _WAY_OUT or name.startswith(_WAY_OUT_PREFIXES)
    }


def child_environment(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Give the environment of a training process: what a GPU needs, nothing secret, no way to the network's hub."""
    kept = {
        name: value for name, value in environment.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return kept | {
        "PYTHONPATH": import_path(environment),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(folder / "tmp"),
        "HF_HOME": str(folder / "tmp" / "huggingface"),  # never the operator's folder: its token lies there
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        LEAN: "1",
        "PYDANTIC_DISABLE_PLUGINS": "__all__",  # to look for some it would read about every package there is
    }


def import_path(environment: Mapping[str, str]) -> str:
    """Give a PYTHONPATH with which any interpreter finds this code, wherever it starts."""
    root = str(Path(worker.__file__).parent.parent)
    return os.pathsep.join([root, *filter(None, [environment.get("PYTHONPATH")])])


class Spawner:
    """Starts processes, always from the same thread: the kernel kills a child when the *thread* that made it ends."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")

    def start(self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> "Process":
        """Start ``python ARGUMENTS`` in ``folder``, in a process group of its own, logging to ``folder/child.log``."""
        return self._thread.submit(_start, list(arguments), folder, dict(environment)).result()

    def close(self) -> None:
        """End the thread, and with it whatever it started and still runs."""
        self._thread.shutdown()


def _start(arguments: list[str], folder: Path, environment: dict[str, str]) -> "Process":
    reader, writer = os.pipe()
    log_file = folder / "child.log"
    try:
        with log_file.open("wb") as log:
            popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module, no shell
                [sys.executable, *arguments, "--parent", str(os.getpid()), "--events-fd", str(writer)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(writer,),
                start_new_session=True,
                cwd=folder,
                env=environment,
            )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return Process(popen, reader, folder, log_file)


class Process:
    """One started process: its group, its pipe of lines and its log."""

    def __init__(self, popen: "subprocess.Popen[bytes]", reader: int, folder: Path, log_file: Path) -> None:
        self._popen = popen
        self._reader = reader
        self._selector = selectors.DefaultSelector()
        self._selector.register(reader, selectors.EVENT_READ)
        self._rest = b""
        self.folder = folder
        self.log_file = log_file
        self.pid = popen.pid
        self.silent = False
        """True when nothing more will be heard: every writer closed its end of the pipe."""
        self._buried = False

    def feed(self, spec: Message) -> None:
        """Send the spec and close stdin, without waiting for a reader: a large spec does not fit into the pipe."""
        data = spec.model_dump_json().encode() + b"\n"
        threading.Thread(target=self._write, args=(data,), name=f"feed-{self.pid}", daemon=True).start()

    def _write(self, data: bytes) -> None:
        stdin = self._popen.stdin
        if stdin is None:
            raise ValueError("started without stdin")
        with suppress(OSError):  # the process is gone; its exit code says more
            stdin.write(data)
            stdin.flush()
        with suppress(OSError):
            stdin.close()

    def lines(self, timeout: float) -> list[bytes]:
        """Wait up to ``timeout`` seconds for output and give the lines that are complete."""
        if self.silent or not self._selector.select(timeout):
            return []
        data = os.read(self._reader, _CHUNK)
        self.silent = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_EVENT:
            self.kill()
        return lines

    def rest(self) -> list[bytes]:
        """Give what was said before the end, without waiting for a helper that still holds the pipe."""
        lines = []
        while not self.silent and self._selector.select(0):
            lines += self.lines(0)
        return lines

    def exited(self) -> bool:
        """Say whether the process has ended; on Linux it stays a zombie, so that its group's number stays ours."""
        if sys.platform == "linux" and not self._buried:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return self._popen.poll() is not None

    def terminate(self, *, save: bool = False) -> None:
        """Ask the process to stop, saving first if ``save``; its helpers are left to it, to end its step in peace."""
        if not self.exited():
            os.kill(self.pid, SAVE_AND_STOP if save else signal.SIGTERM)

    def finish(self) -> None:
        """Ask the process to end training with what it has; it must have spoken already, so that it listens."""
        if not self.exited():
            os.kill(self.pid, FINISH)

    def kill(self) -> None:
        """Kill the whole process group."""
        if not self._buried:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def bury(self) -> int:
        """Kill what is left of the group, close every pipe and give the exit code; negative: the signal."""
        if self._buried:
            return self._popen.returncode or 0
        self.kill()
        self._buried = True
        try:
            code = self._popen.wait(UNKILLABLE_SECONDS)
        except subprocess.TimeoutExpired:  # stuck in a driver; the kernel will end it when the driver answers
            code = -signal.SIGKILL
        self._selector.close()
        os.close(self._reader)
        if self._popen.stdin is not None:
            with suppress(OSError):
                self._popen.stdin.close()
        return code
