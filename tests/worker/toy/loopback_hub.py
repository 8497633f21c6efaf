"""A Hugging Face hub on a loopback port: as much of its API as a download of a public model asks for."""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Repositories by name, each a mapping of file name to content; every request is noted."""

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    status: int = 200
    """Any other is the answer to everything."""
    damage: int = 0
    """How many of the next downloads of weights are corrupted on their way."""

    def start(self) -> None:
        """Begin to answer."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Give the endpoint."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        """Answer one request."""
        path = unquote(urlsplit(request.path).path)
        self.requests.append(path)
        if self.status != 200:
            _send(request, self.status, b"{}", {"X-Error-Message": "down"}, body=body)
        elif path.startswith("/api/models/"):
            self._api(request, path.removeprefix("/api/models/"), body=body)
        else:
            self._file(request, path.removeprefix("/"), body=body)

    def _api(self, request: BaseHTTPRequestHandler, path: str, *, body: bool) -> None:
        name = next((name for name in self.repos if path == name or path.startswith(f"{name}/")), None)
        rest = path.removeprefix(name).lstrip("/") if name else ""
        revision = rest.split("/")[1] if "/" in rest else "main"
        if name is None:
            _send(request, 401, b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "no"}, body=body)
        elif revision not in ("main", COMMIT):
            _send(request, 404, b"{}", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "no"}, body=body)
        elif rest.startswith("tree/"):
            _send(request, 200, json.dumps([_entry(*item) for item in self.repos[name].items()]).encode(), body=body)
        else:
            siblings = [{"rfilename": file} for file in self.repos[name]]
            facts = {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []}
            _send(request, 200, json.dumps(facts).encode(), body=body)

    def _file(self, request: BaseHTTPRequestHandler, path: str, *, body: bool) -> None:
        name, _, rest = path.partition("/resolve/")
        _, _, file = rest.partition("/")
        content = self.repos.get(name, {}).get(file)
        if content is None:
            _send(request, 404, b"", {"X-Error-Code": "EntryNotFound"}, body=body)
            return
        headers = {"ETag": f'"{_etag(file, content)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if body and file.endswith(".safetensors") and self.damage:
            self.damage -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        _send(request, 200, content, headers, body=body)


def _entry(file: str, content: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": file, "size": len(content), "oid": _etag("", content)}
    if file.endswith(".safetensors"):
        entry["lfs"] = {"oid": _etag(file, content), "size": len(content), "pointerSize": 100}
    return entry


def _etag(file: str, content: bytes) -> str:
    """Name a file as the hub does: large ones by their SHA-256, small ones by git's hash."""
    if file.endswith(".safetensors"):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _send(
    request: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str] | None = None, *, body: bool
) -> None:
    request.send_response(status)
    for key, value in (headers or {}).items():
        request.send_header(key, value)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    if body:
        request.wfile.write(content)
