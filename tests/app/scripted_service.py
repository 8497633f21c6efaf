"""An HTTP server that answers what a test has written down, to try a client on networks that no real service makes."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer; ``cut`` closes the connection instead of ending the body properly."""

    status: int = 200
    body: str = "{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class ScriptedService:
    """Gives its answers one after another, the last one again and again, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: list[Answer] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def will(self, *answers: Answer) -> None:
        """Write down what comes next."""
        self._answers = list(answers)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _next(self) -> Answer:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                service.asked.append(Asked(self.command, self.path, dict(self.headers), body))
                answer = service._next()
                sent = answer.body.encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.status != 204:
                    self.send_header("Content-Length", str(len(sent) + (1 if answer.cut else 0)))
                self.end_headers()
                self.wfile.write(sent)
                self.close_connection = self.close_connection or answer.cut

            do_GET = do_POST = do_PUT = answer  # noqa: N815  # these names are the library's

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        return Handler


def problem(status: int, code: str, **members: Any) -> Answer:
    """Write a problem as the service would."""
    body = {
        "type": f"/problems/{code}",
        "title": "A title",
        "status": status,
        "detail": "What is wrong.",
        "code": code,
        "category": "user",
        "retryable": status in (429, 503),
        "request_id": "req_1",
    }
    headers = members.pop("headers", {})
    return Answer(status, json.dumps(body | members), {"Content-Type": "application/problem+json", **headers})
