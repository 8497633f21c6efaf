"""A closed loop of HTTP clients in a process of its own: each sends its next request when it has its answer.

    python -m bench.load < ORDER

ORDER is one JSON object: host, port, path, headers, bodies (texts, sent in turn), clients, warm_seconds, seconds. What
comes out is one JSON object. Plain sockets and no library, because what the client computes is taken from the server on
the same cores; ``client_cpu`` says how much that is.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

END_OF_HEAD = b"\r\n\r\n"
END_OF_CHUNKS = b"0\r\n\r\n"


class Record:
    """What all clients have seen since the warm-up ended."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.is_counting = False
        self.answered = 0
        """The warm-up included."""

    def note(self, status: int, seconds: float) -> None:
        """Take in one answer."""
        self.answered += 1
        if self.is_counting:
            self.statuses[status] += 1
            if status == 200:
                self.milliseconds.append(seconds * 1e3)


class Client(asyncio.Protocol):
    """One connection, kept open."""

    def __init__(self, requests: Iterator[bytes], record: Record) -> None:
        self._requests = requests
        self._record = record
        self._answer = bytearray()
        self._began = 0.0
        self._write: Callable[[bytes], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first question."""
        self._write = transport.write  # type: ignore[attr-defined]  # of any loop's transports
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Ask the next question when the answer is whole."""
        self._answer += data
        if (status := whole(self._answer)) is not None:
            self._record.note(status, time.perf_counter() - self._began)
            self._ask()

    def connection_lost(self, _error: Exception | None) -> None:
        """Count it: a server that hangs up has not answered."""
        self._record.note(0, 0.0)

    def _ask(self) -> None:
        self._answer.clear()
        self._began = time.perf_counter()
        self._write(next(self._requests))


def whole(answer: bytearray) -> int | None:
    """Give the status of an answer that is all there."""
    end = answer.find(END_OF_HEAD)
    if end < 0:
        return None
    head = bytes(answer[:end]).lower()
    start = head.find(b"content-length:")
    if start >= 0:
        length = int(head[start + 15 :].split(b"\r\n", 1)[0])
        done = len(answer) >= end + len(END_OF_HEAD) + length
    else:
        done = answer.endswith(END_OF_CHUNKS)
    return int(head[9:12]) if done else None


def requests(order: dict[str, Any]) -> list[bytes]:
    """Write all requests once."""
    lines = [f"POST {order['path']} HTTP/1.1", f"Host: {order['host']}:{order['port']}"]
    lines += [f"{name}: {value}" for name, value in order["headers"].items()]
    head = "\r\n".join([*lines, "Content-Type: application/json", "Content-Length: "])
    bodies = [body.encode() for body in order["bodies"]]
    return [head.encode() + str(len(body)).encode() + END_OF_HEAD + body for body in bodies]


def percentile(ordered: Sequence[float], share: float) -> float:
    """Give the value that a share of the values does not exceed."""
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else 0.0


async def measure(order: dict[str, Any]) -> dict[str, Any]:
    """Ask for the warm-up and then for the time that counts."""
    record, asked = Record(), cycle(requests(order))
    loop = asyncio.get_running_loop()
    transports = [
        (await loop.create_connection(lambda: Client(asked, record), order["host"], order["port"]))[0]
        for _ in range(order["clients"])
    ]
    await asyncio.sleep(order["warm_seconds"])
    record.is_counting, began, cpu = True, time.perf_counter(), time.process_time()
    await asyncio.sleep(order["seconds"])
    record.is_counting, seconds = False, time.perf_counter() - began
    cpu = time.process_time() - cpu
    for transport in transports:
        transport.abort()
    times = sorted(record.milliseconds)
    found: dict[str, Any] = {"texts_per_second": round(len(times) / seconds, 1)}
    found |= {f"p{share}_ms": percentile(times, share / 100) for share in (50, 95, 99)}
    failed = {str(status): count for status, count in record.statuses.items() if status != 200}
    found |= {"worst_ms": percentile(times, 1.0), "failed": failed, "client_cpu": round(cpu / seconds, 3)}
    return found | {"answered": record.answered}


def main() -> None:
    order = json.load(sys.stdin)
    if sys.platform != "win32":
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    else:
        runner = asyncio.Runner()
    with runner:
        print(json.dumps(runner.run(measure(order))))


if __name__ == "__main__":
    main()
