"""Answers leave in one piece, and nothing of a longer one is lost or kept back."""

import asyncio
import gc
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from app import server
from app.one_write import OneWrite, _Paired
from app.settings import Settings
from tests.processes import until


class Recorder:
    """What a socket would be told to send."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def recorded(test: Callable[[_Paired, Recorder], Awaitable[None]]) -> Recorder:
    recorder = Recorder()

    async def run() -> None:
        await test(_Paired(recorder, asyncio.get_running_loop()), recorder)  # type: ignore[arg-type]

    asyncio.run(run())
    return recorder


def test_a_head_and_its_body_are_one_write() -> None:
    async def answer_twice(transport: _Paired, _: Recorder) -> None:
        for body in (b"one", b"two"):
            transport.write(b"head ")
            transport.write(body)
            await asyncio.sleep(0)

    assert recorded(answer_twice).sent == [b"head one", b"head two"]


def test_what_stands_alone_leaves_in_the_same_turn() -> None:
    async def stream(transport: _Paired, recorder: Recorder) -> None:
        transport.write(b"head")
        assert recorder.sent == []
        await asyncio.sleep(0)
        assert recorder.sent == [b"head"]
        for chunk in (b"1", b"2", b"", b"3"):
            transport.write(chunk)
        await asyncio.sleep(0)

    assert recorded(stream).sent == [b"head", b"12", b"3"]


def test_closing_sends_what_is_held_and_a_broken_connection_nothing() -> None:
    async def close(transport: _Paired, _: Recorder) -> None:
        transport.write(b"last words")
        transport.close()
        await asyncio.sleep(0)

    assert recorded(close).sent == [b"last words"]

    async def break_off(transport: _Paired, recorder: Recorder) -> None:
        transport.write(b"unheard")
        recorder.closed = True
        await asyncio.sleep(0)

    assert recorded(break_off).sent == []


async def chunks(_scope: Any, _receive: Any, send: Any) -> None:
    """An ASGI application whose answer is long, in chunks of different sizes."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    for number in range(200):
        await send({"type": "http.response.body", "body": bytes([number]) * number * 100, "more_body": True})
        if number % 3 == 0:
            await asyncio.sleep(0)
    await send({"type": "http.response.body"})


def test_a_long_answer_in_chunks_arrives_whole() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(chunks, http=OneWrite, log_config=None, lifespan="off", ws="none")
    service = uvicorn.Server(config)
    thread = threading.Thread(target=service.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        until(lambda: service.started)
        with socket.create_connection(listener.getsockname(), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while data := client.recv(65536):
                answer += data
    finally:
        service.should_exit = True
        thread.join()
        listener.close()
    body = answer.partition(b"\r\n\r\n")[2]
    found = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        found, body = found + body[: int(size, 16)], body[int(size, 16) + 2 :]
    assert found == b"".join(bytes([number]) * number * 100 for number in range(200))


def test_the_server_answers_so_and_keeps_what_it_began_with_out_of_the_search_for_garbage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run: dict[str, Any] = {}

    def note(_app: object, **options: Any) -> None:
        run.update(options, frozen=gc.get_freeze_count())

    monkeypatch.setattr(uvicorn, "run", note)
    try:
        server.serve(Settings(data_dir=tmp_path))
    finally:
        gc.unfreeze()
    assert run["http"] is OneWrite
    assert run["frozen"] > 10_000
