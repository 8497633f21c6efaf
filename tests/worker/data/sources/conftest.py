"""A Hugging Face hub on a loopback port, with as much of its API as datasets need, and tables to put on it."""

import hashlib
import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import datasets
import pytest

from app.preflight.messages import Limits
from worker.data.hub.repository import Hub
from worker.data.sources import Surroundings

Files = dict[str, bytes]


@dataclass
class LoopbackHub:
    """Dataset repositories: files by name, by revision, by id. Every request is noted."""

    repos: dict[str, dict[str, Files]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    down: int | None = None
    """Status of every answer from now on."""
    damage: int = 0
    """How many of the next large files lose a byte on their way."""

    def commit(self, dataset: str, revision: str = "main") -> str:
        """Give the commit that a revision points at."""
        return hashlib.sha1(f"{dataset}@{revision}".encode()).hexdigest()

    def start(self) -> None:
        """Begin to answer."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            def do_HEAD(self) -> None:
                hub.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Give the endpoint."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        path = unquote(urlsplit(request.path).path)
        self.requests.append(f"{request.command} {path}")
        if self.down:
            send(request, self.down, b"{}")
        elif path.startswith("/api/datasets/"):
            self._describe(request, path.removeprefix("/api/datasets/"))
        else:
            self._file(request, path.removeprefix("/datasets/"))

    def _describe(self, request: BaseHTTPRequestHandler, path: str) -> None:
        dataset, _, revision = path.partition("/revision/")
        found = self._find(dataset, revision or "main")
        if dataset in self.gated:
            send(request, 403, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "ask"})
        elif dataset not in self.repos:
            send(request, 401, b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "no"})
        elif found is None:
            send(request, 404, b"{}", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "no"})
        else:
            facts = {
                "id": dataset,
                "sha": self.commit(dataset, found),
                "private": False,
                "tags": [],
                "siblings": [sibling(*file) for file in self.repos[dataset][found].items()],
            }
            send(request, 200, json.dumps(facts).encode())

    def _file(self, request: BaseHTTPRequestHandler, path: str) -> None:
        dataset, _, rest = path.partition("/resolve/")
        commit, _, name = rest.partition("/")
        found = self._find(dataset, commit)
        content = self.repos[dataset][found].get(name) if found else None
        if content is None:
            send(request, 404, b"", {"X-Error-Code": "EntryNotFound", "X-Error-Message": "no"})
            return
        etag = hashlib.sha256(content).hexdigest()
        if request.command == "GET" and is_large(name) and self.damage:
            self.damage -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        send(request, 200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"})

    def _find(self, dataset: str, revision: str) -> str | None:
        known = self.repos.get(dataset, {})
        return next((name for name in known if revision in (name, self.commit(dataset, name))), None)


def is_large(name: str) -> bool:
    """Say whether the hub would keep a file outside of git, and know its SHA-256."""
    return name.endswith(".parquet")


def sibling(name: str, content: bytes) -> dict[str, Any]:
    """Describe a file as the hub does."""
    facts: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
    if is_large(name):
        facts["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return facts


def send(
    request: BaseHTTPRequestHandler, status: int, content: bytes, headers: Mapping[str, str] | None = None
) -> None:
    """Answer a request."""
    request.send_response(status)
    for key, value in (headers or {}).items():
        request.send_header(key, value)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(content)


def parquet(rows: Sequence[Mapping[str, Any]], *, classes: Mapping[str, Sequence[str]] | None = None) -> bytes:
    """Make a Parquet file as ``push_to_hub`` does; ``classes`` are the names of integer columns."""
    table = datasets.Dataset.from_list([dict(row) for row in rows])
    for column, names in (classes or {}).items():
        table = table.cast_column(column, datasets.ClassLabel(names=list(names)))
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    return buffer.getvalue()


def jsonl(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Make a JSON Lines file."""
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def read(file: Path) -> list[dict[str, Any]]:
    """Read a JSON Lines file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@dataclass
class Make:
    """Makers of files, for tests that cannot import this module."""

    parquet = staticmethod(parquet)
    jsonl = staticmethod(jsonl)
    read = staticmethod(read)


@pytest.fixture
def make() -> Make:
    """Makers of files."""
    datasets.disable_progress_bars()
    return Make()


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub that runs."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    hub = LoopbackHub()
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def surroundings(loopback: LoopbackHub, tmp_path: Path) -> Surroundings:
    """Settings that name this hub and a folder of prepared datasets."""
    (tmp_path / "prepared").mkdir()
    return Surroundings(
        hub=Hub(endpoint=loopback.url, cache_dir=tmp_path / "cache"),
        limits=Limits(max_rows=10_000, max_text_chars=1_000, max_labels=50),
        processed_dir=tmp_path / "prepared",
    )
