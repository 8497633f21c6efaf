"""A proxy before Postgres that can lose the answer to one COMMIT, or end the server around it."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Self

from sqlalchemy.engine import make_url

COMMIT = b"COMMIT"
KEPT_BYTES = 65_536
"""Of what a client said last; the statement that a trap waits for is found in it."""
Moment = Literal["before", "during", "after"]
"""before: the COMMIT never arrives. during: it arrives, and what becomes of it is chance. after: it is done."""


@dataclass
class Trap:
    """Springs at the COMMIT of the first transaction that has said ``words``."""

    words: bytes
    moment: Moment
    then: Callable[[], None]


class Proxy:
    """Passes bytes on, for as long as nothing else is wanted; ``with`` ends it."""

    def __init__(self, url: str) -> None:
        place = make_url(url)
        assert place.host is not None
        assert place.port is not None
        self._server = (place.host, place.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = place.set(port=self._listener.getsockname()[1]).render_as_string(hide_password=False)
        self.sprung = threading.Event()
        self._trap: Trap | None = None

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def set_trap(self, words: str, moment: Moment, then: Callable[[], None] = lambda: None) -> None:
        """Cut the connection around the next such COMMIT, and do ``then``."""
        self.sprung.clear()
        self._trap = Trap(words.encode(), moment, then)

    def take_trap(self, recent: bytes) -> Trap | None:
        """Give the trap to the one who steps into it."""
        trap = self._trap
        if trap is None or trap.words not in recent:
            return None
        self._trap = None
        return trap

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._server)
                except OSError:
                    client.close()
                    continue
                line = _Line(self, client, server)
                threading.Thread(target=line.ask, daemon=True).start()
                threading.Thread(target=line.answer, daemon=True).start()


class _Line:
    """One connection of a client."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._swallowing: Trap | None = None
        self._recent = b""

    def ask(self) -> None:
        """Pass on what the client says."""
        with suppress(OSError):
            while data := self._client.recv(KEPT_BYTES):
                self._recent = (self._recent + data)[-KEPT_BYTES:]
                if COMMIT in data and not self._pass_commit(data):
                    return
                if COMMIT not in data:
                    self._server.sendall(data)
        self._hang_up()

    def _pass_commit(self, data: bytes) -> bool:
        """Pass a COMMIT on, unless it steps into the trap; False when the connection is no more."""
        trap, self._recent = self._proxy.take_trap(self._recent), b""
        if trap is not None and trap.moment == "after":
            self._swallowing = trap
        if trap is None or trap.moment != "before":
            self._server.sendall(data)
        if trap is None or trap.moment == "after":
            return True
        self._spring(trap)
        return False

    def answer(self) -> None:
        """Pass on what the server says."""
        with suppress(OSError):
            while data := self._server.recv(KEPT_BYTES):
                if self._swallowing is not None and COMMIT in data:
                    return self._spring(self._swallowing)
                self._client.sendall(data)
        return self._hang_up()

    def _spring(self, trap: Trap) -> None:
        trap.then()
        self._hang_up()
        self._proxy.sprung.set()

    def _hang_up(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
