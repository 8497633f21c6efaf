"""Clients that ask without a pause, and keep what they were answered."""

import http.client
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request."""

    port: int
    began: float
    ended: float
    status: int
    """0: no answer at all."""
    version: int
    whole: bool
    """Every text has the answer that this version gives to it, and no other."""
    words: str
    """Of a failure: what came instead."""


Expected = dict[int, list[tuple[str, float]]]
"""Label and probability of each text, by version."""


class Crowd:
    """Some clients in threads, each with a connection that it keeps; one request follows the other."""

    def __init__(self, ports: Sequence[int], clients: int, model: str, texts: list[str], expected: Expected) -> None:
        self.answers: list[Answer] = []
        self._body = json.dumps({"model": model, "inputs": texts})
        self._expected = expected
        self._done = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask_on, args=(ports[index % len(ports)],)) for index in range(clients)
        ]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def of(self, port: int, since: float = 0.0) -> list[Answer]:
        """Give the answers of one process to requests that began after a moment, in the order of their beginning."""
        found = [answer for answer in list(self.answers) if answer.port == port and answer.began >= since]
        return sorted(found, key=lambda answer: answer.began)

    @property
    def failures(self) -> list[Answer]:
        """Give what was no whole answer of a known version."""
        return [answer for answer in self.answers if answer.status != 200 or not answer.whole]

    def _ask_on(self, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while not self._done.is_set():
            answer = self._ask(connection, port)
            self.answers.append(answer)
            if answer.status == 0:
                connection.close()
                time.sleep(0.05)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, port: int) -> Answer:
        began = time.monotonic()
        try:
            connection.request("POST", "/predict", self._body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            status, content = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            return Answer(port, began, time.monotonic(), 0, 0, whole=False, words=type(error).__name__)
        ended = time.monotonic()
        if status != 200:
            return Answer(port, began, ended, status, 0, whole=False, words=content.decode(errors="replace")[:300])
        body = json.loads(content)
        return Answer(port, began, ended, status, body["version"], self._is_whole(body), words="")

    def _is_whole(self, body: dict[str, object]) -> bool:
        expected = self._expected.get(int(str(body["version"])), [])
        found = body["predictions"]
        if not isinstance(found, list) or len(found) != len(expected):
            return False
        return all(
            answer["label"] == label and abs(answer["score"] - score) < 1e-4
            for answer, (label, score) in zip(found, expected, strict=True)
        )
