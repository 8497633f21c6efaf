"""Predictions over real sockets: overload, deadlines, callers who hang up, and a long list beside single texts."""

import asyncio
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn

from app.main import create_app
from app.settings import Settings
from tests.app.serving.shelf import Shelf
from tests.processes import until

BALLAST = 8 << 20
"""Makes each text of the tiny model cost some milliseconds."""


@contextmanager
def serving(shelf: Shelf, **changes: Any) -> Iterator[str]:
    """Serve what is on the shelf from a port of this machine; gives the address."""
    settings = Settings(**(shelf.settings.model_dump() | changes), _env_file=None)
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """A registry with a version that takes its time."""
    made = Shelf(tmp_path_factory.mktemp("shelf"), serve_threads=1, hub_endpoint="http://127.0.0.1:9")
    made.publish("mood", ballast=BALLAST)
    yield made
    made.close()


def ask(address: str, texts: str | list[str], **headers: str) -> httpx.Response:
    return httpx.post(f"{address}/predict", json={"model": "mood", "inputs": texts}, headers=headers, timeout=60)


def metric(address: str, line: str) -> float:
    """Add up the metrics whose lines begin so."""
    page = httpx.get(f"{address}/metrics").text
    return sum(float(each.rpartition(" ")[2]) for each in page.splitlines() if each.startswith(line))


@dataclass
class Crowd:
    """What clients saw who ask again as soon as they are answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    refused_seconds: list[float] = field(default_factory=list)
    retry_after: set[str] = field(default_factory=set)


def crowd(address: str, clients: int, seconds: float) -> Crowd:
    """Ask with so many clients for so long."""
    seen, end = Crowd(), time.monotonic() + seconds

    async def one(client: httpx.AsyncClient) -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            answer = await client.post("/predict", json={"model": "mood", "inputs": "good film"})
            spent = time.monotonic() - began
            seen.statuses[answer.status_code] += 1
            if answer.status_code == 429:
                seen.refused_seconds.append(spent)
                seen.retry_after.add(answer.headers["retry-after"])
                assert answer.json()["code"] == "overloaded"

    async def all_of_them() -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
            await asyncio.gather(*(one(client) for _ in range(clients)))

    asyncio.run(all_of_them())
    return seen


def test_under_overload_the_accepted_are_answered_and_the_others_told_when_to_come(shelf: Shelf) -> None:
    """Nobody backs off; what keeps the storm from taking the time of the accepted is how seldom it may come back."""
    hold, clients = 0.1, 20
    with serving(shelf, serve_queue_ms=10, serve_refusal_hold_ms=int(hold * 1000)) as address:
        ask(address, "good")
        over = threading.Event()

        def keep_busy() -> None:
            while not over.is_set():
                ask(address, ["good film"] * 64)

        busy = [threading.Thread(target=keep_busy) for _ in range(3)]
        for thread in busy:
            thread.start()
        storm, began, end = Crowd(), 0.0, time.monotonic() + 30
        while not storm.statuses[429] and time.monotonic() < end:  # on a slow machine the crowd itself may be too slow
            began = time.monotonic()
            storm = crowd(address, clients, seconds=0.8)
        spent = time.monotonic() - began
        over.set()
        for thread in busy:
            thread.join()
        assert storm.statuses[429] > 0
        assert set(storm.statuses) <= {200, 429}
        assert min(storm.refused_seconds) >= hold
        assert storm.statuses[429] <= clients * (spent / hold + 1)
        assert all(int(seconds) >= 1 for seconds in storm.retry_after)
        assert metric(address, 'tunesmith_predict_dropped_total{model="",reason="overloaded"') >= storm.statuses[429]
        assert metric(address, "tunesmith_predict_refusals_held") == 0
        assert ask(address, "good").status_code == 200


def test_a_refusal_needs_no_body_and_only_so_many_are_held(shelf: Shelf) -> None:
    """The body is announced and never sent; still the answer comes."""
    limits = {"serve_queue_ms": 10, "serve_refusal_hold_ms": 2000, "serve_refusals_held": 0, "max_predict_texts": 400}
    with serving(shelf, **limits) as address:
        ask(address, "good")
        listed = [threading.Thread(target=ask, args=(address, ["good film"] * 400)) for _ in range(3)]
        for thread in listed:
            thread.start()
        host, port = address.removeprefix("http://").split(":")
        answer, end = b"", time.monotonic() + 60
        while b" 429 " not in answer[:20] and time.monotonic() < end:
            with socket.create_connection((host, int(port)), timeout=1.0) as connection:
                head = f"POST /predict HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
                connection.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
                connection.settimeout(0.05)
                try:
                    answer = connection.recv(4096)
                except TimeoutError:
                    continue
        for thread in listed:
            thread.join()
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: " in answer.lower()


def test_a_caller_who_hangs_up_is_dropped_before_inference(shelf: Shelf) -> None:
    with serving(shelf, serve_queue_ms=60_000, max_predict_texts=2000) as address:
        ask(address, "good")
        answered = metric(address, "tunesmith_predict_tokens_total")
        cancelled = 'tunesmith_predict_dropped_total{model="mood",reason="cancelled"'
        before = metric(address, cancelled)
        body = json.dumps({"model": "mood", "inputs": ["good film"] * 1500}).encode()
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            head = f"POST /predict HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            end = time.monotonic() + 60
            while metric(address, "tunesmith_predict_queue_items") == 0:
                assert time.monotonic() < end
        while metric(address, cancelled) == before:
            assert time.monotonic() < end
            time.sleep(0.01)
        dropped = metric(address, cancelled) - before
        assert 1 <= dropped <= 1500
        ask(address, "good")
        computed = (metric(address, "tunesmith_predict_tokens_total") - answered) / 4
        assert computed < 1500, "all of the list was computed for nobody"
        assert metric(address, "tunesmith_predict_queue_items") == 0


def test_a_deadline_is_kept_or_answered_with_504(shelf: Shelf) -> None:
    with serving(shelf, serve_queue_ms=60_000) as address:
        assert ask(address, "good", **{"X-Deadline-Ms": "30000"}).status_code == 200
        late = ask(address, ["good film"] * 64, **{"X-Deadline-Ms": "1"})
        assert (late.status_code, late.json()["code"]) == (504, "deadline-exceeded")
        assert "X-Deadline-Ms" in late.json()["remedy"]
        assert metric(address, 'tunesmith_predict_dropped_total{model="mood",reason="expired"') > 0


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "600001", "", "9" * 30])
def test_a_deadline_that_is_none_is_refused(shelf_client: httpx.Client, value: str) -> None:
    for path, body in (("/predict", {"model": "mood", "inputs": "x"}), ("/models/mood/predict", {"inputs": "x"})):
        answer = shelf_client.post(path, json=body, headers={"X-Deadline-Ms": value})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-parameter")
        (broken,) = answer.json()["errors"]
        assert (broken["pointer"], broken["rule"]) == ("/header/X-Deadline-Ms", "invalid-parameter")
        assert "600000" in broken["detail"] and "leave it out" in broken["remedy"]


@pytest.fixture(scope="module")
def shelf_client(shelf: Shelf) -> Iterator[httpx.Client]:
    """A client of a server without special settings."""
    with serving(shelf) as address, httpx.Client(base_url=address) as client:
        yield client


def test_one_long_list_does_not_starve_single_texts(shelf: Shelf) -> None:
    with serving(shelf, serve_queue_ms=60_000, max_predict_texts=300) as address:
        ask(address, "good")
        done: dict[str, float] = {}

        def send(name: str, texts: str | list[str]) -> None:
            assert ask(address, texts).status_code == 200
            done[name] = time.monotonic()

        lists = [threading.Thread(target=send, args=(f"list {n}", ["good film"] * 300)) for n in range(3)]
        for thread in lists:
            thread.start()
        while metric(address, "tunesmith_predict_queue_items") < 100:
            assert any(thread.is_alive() for thread in lists)
        single = threading.Thread(target=send, args=("single", "good film"))
        single.start()
        for thread in (*lists, single):
            thread.join()
        assert min(done, key=lambda name: done[name]) == "single"


def test_what_is_loaded_is_shown_with_its_batches(shelf_client: httpx.Client) -> None:
    shelf_client.post("/predict", json={"model": "mood", "inputs": "good"})
    found = shelf_client.get("/serving").json()
    assert (found["threads"], found["queue"]["texts"]) == (1, 0)
    (version,) = found["versions"]
    assert (version["model"], version["version"], version["format"]) == ("mood", 1, "onnx")
    assert version["batching"]["texts"] in (1, 2, 4, 8)
    assert version["batching"]["trials"]
    assert version["bytes"] > BALLAST
    page = shelf_client.get("/metrics").text
    assert 'tunesmith_model_bytes{format="onnx",model="mood",version="1"}' in page
    assert 'tunesmith_predict_batch_tokens_count{model="mood",version="1"}' in page
    assert 'tunesmith_predict_seconds_count{model="mood",stage="total",version="1"}' in page


def test_texts_that_come_alone_are_computed_by_all_threads(shelf: Shelf) -> None:
    with serving(shelf, serve_threads=2) as address, httpx.Client(base_url=address) as client:

        def lone() -> Any:
            assert client.post("/predict", json={"model": "mood", "inputs": "good"}).status_code == 200
            (version,) = client.get("/serving").json()["versions"]
            return version["lone"]

        until(lambda: lone()["state"] == "open" and lone()["all_threads_ms_per_token"])
        shown = lone()
        assert shown["threads"] == 2 and shown["bytes"] > BALLAST and shown["one_thread_ms_per_token"] > 0


def test_each_stage_is_told_in_the_header(shelf_client: httpx.Client) -> None:
    answer = shelf_client.post("/predict", json={"model": "mood", "inputs": "good"})
    stages = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
    assert list(stages) == ["total", "queue", "tokenize", "infer"]
    milliseconds = {name: float(value) for name, value in stages.items()}
    assert milliseconds["total"] >= milliseconds["tokenize"] + milliseconds["infer"] > 0
