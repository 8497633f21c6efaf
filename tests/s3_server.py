"""A real S3-compatible server on this machine: SeaweedFS from a wheel of the dev extra."""

import ctypes
import json
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from app.artifacts.s3_access import S3Access
from app.artifacts.s3_client import connect

KEY_ID, SECRET = "tests", "a-secret-of-tests"
READER_ID, READER_SECRET = "reader", "another-secret-of-tests"
BUCKET = "artifacts"
_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")


class S3Server:
    """One process that dies with this one; its data is in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = free_ports([f"{name}{kind}" for name in _PORTS for kind in ("", ".grpc")])
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._ports['s3.port']}"
        self.access = S3Access(self.url, "us-east-1", KEY_ID, SECRET)
        self.reader = S3Access(self.url, "us-east-1", READER_ID, READER_SECRET)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        (self._folder / "data").mkdir(exist_ok=True)
        config = self._folder / "s3.json"
        config.write_text(json.dumps({"identities": [_identity(KEY_ID, SECRET, "Admin"), _reader()]}))
        options = {
            "dir": self._folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.config": config,
            "s3.iam": "false",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "master.volumeSizeLimitMB": 64,
            "master.telemetry": "false",
            "volume.max": 30,
        }
        arguments = [f"-{name}={value}" for name, value in (options | self._ports).items()]
        self._process = subprocess.Popen(
            [Path(sysconfig.get_path("scripts")) / "weed", "server", "-s3", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None and time.monotonic() < deadline, "SeaweedFS does not start"
            time.sleep(0.05)

    def client(self) -> Any:
        """Give a client of the library, to look at what our own code does not show."""
        return connect(self.access)

    def make_bucket(self, name: str) -> None:
        """Make a bucket, as soon as the server can."""
        deadline = time.monotonic() + 60
        client = self.client()
        while True:
            try:
                client.create_bucket(Bucket=name)
                client.put_object(Bucket=name, Key="first", Body=b"")
                client.delete_object(Bucket=name, Key="first")
                return
            except (BotoCoreError, ClientError):
                assert time.monotonic() < deadline, "SeaweedFS takes no bucket"
                time.sleep(0.05)

    def stop(self) -> None:
        """End it as a power cut would: asked kindly it takes fifteen seconds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
        for left in Path("/tmp").glob(f"seaweedfs-*-{self._ports['s3.port.grpc']}.sock"):
            left.unlink(missing_ok=True)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/status", timeout=2)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


class Line:
    """The way to a server: it breaks once, after so many bytes in one direction."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.up = self.down = 1 << 40
        """Bytes after which it breaks, to the server and from it."""
        self.breaks = 1
        self.off = False
        """True: whoever calls is hung up on."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                if self.off:
                    caller.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._port))
                for source, target, name in ((caller, server, "up"), (server, caller, "down")):
                    threading.Thread(target=self._pass, args=(source, target, name), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, name: str) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(65536):
                passed += len(data)
                if self.off or (passed > getattr(self, name) and self.breaks > 0):
                    self.breaks -= 1
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def free_ports(names: list[str]) -> dict[str, int]:
    """Name a port that nobody uses for each."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in names]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return {name: probe.getsockname()[1] for name, probe in zip(names, probes, strict=True)}


def _reader() -> dict[str, object]:
    return _identity(READER_ID, READER_SECRET, f"Read:{BUCKET}", f"List:{BUCKET}")


def _identity(key_id: str, secret: str, *actions: str) -> dict[str, object]:
    return {"name": key_id, "credentials": [{"accessKey": key_id, "secretKey": secret}], "actions": list(actions)}


def _end_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
