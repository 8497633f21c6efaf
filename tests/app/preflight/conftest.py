"""A model hub on this machine, and the settings that lead to it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = ["config.json", "model.safetensors", "tokenizer.json"]


@dataclass
class FakeHub:
    """What the hub answers, by path, and what it was asked."""

    url: str = ""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    delay: float = 0.0

    def add(self, repository: str, *, sha: str = COMMIT, files: list[str] | None = None) -> None:
        """Offer a model."""
        siblings = [{"rfilename": name} for name in (FILES if files is None else files)]
        self.answers[f"/api/models/{repository}"] = (200, {"id": repository, "sha": sha, "siblings": siblings})


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """A hub with two models: distilbert-base-uncased, and org/old without safetensors."""
    fake = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append(self.path)
            time.sleep(fake.delay)
            status, body = fake.answers.get(self.path, (404, {"error": "Repository not found"}))
            self.send_response(status)
            if status in {301, 307}:
                self.send_header("Location", body)
            content = json.dumps(body).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    fake.add("distilbert-base-uncased")
    fake.add("org/old", files=["config.json", "pytorch_model.bin", "tokenizer.json"])
    yield fake
    server.shutdown()
    server.server_close()


@pytest.fixture
def make_settings(data_dir: Path, sqlite_url: str, hub: FakeHub) -> Callable[..., Settings]:
    """Settings of a service that asks the hub of this test."""

    def make(**changes: Any) -> Settings:
        values: dict[str, Any] = {"data_dir": data_dir, "database_url": sqlite_url, "hub_endpoint": hub.url}
        return Settings(_env_file=None, **(values | changes))

    return make
