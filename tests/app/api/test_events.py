"""The history of a job: pages, a stream without gaps, and curves."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.testclient import TestClient

from app.api import streaming
from app.main import create_app
from app.schemas.jobs import WorkerRef
from app.settings import Settings
from app.store import jobs
from app.store.engine import Database
from tests.app.api.problem import problem_of

STREAM = {"Accept": "text/event-stream"}


def claim(db: Database, job_id: str) -> jobs.Claim:
    taken = db.run(
        lambda session: jobs.claim(
            session, job_id, owner="wrk_1", queues=["default"], lease_seconds=60, worker=WorkerRef(id="wrk_1")
        )
    )
    assert taken is not None
    return taken


def steps(db: Database, taken: jobs.Claim, first: int, last: int) -> None:
    """Report training steps as a worker does."""
    batch = jobs.Recorded(
        events=[jobs.NewEvent("step", {"step": number}) for number in range(first, last)],
        points=[jobs.Point("train/loss", number, number / 10, 1 / (number + 1)) for number in range(first, last)],
    )
    assert db.run(lambda session: jobs.record(session, taken, batch))


def parsed(text: str) -> list[dict[str, Any]]:
    """Read a stream as EventSource does."""
    blocks = [block for block in text.split("\n\n") if block.startswith("id: ")]
    events = []
    for block in blocks:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        event = json.loads(lines["data"])
        assert (lines["id"], lines["event"]) == (str(event["seq"]), event["type"])
        events.append(event)
    return events


def test_pages_are_read_by_number(client: TestClient, db: Database, job_id: str) -> None:
    steps(db, claim(db, job_id), 0, 8)
    first = client.get(f"/jobs/{job_id}/events", params={"limit": 6}).json()
    assert [event["seq"] for event in first["data"]] == [1, 2, 3, 4, 5, 6]
    assert (first["has_more"], first["next_cursor"]) == (True, "6")
    rest = client.get(f"/jobs/{job_id}/events", params={"after": first["next_cursor"]}).json()
    assert [event["seq"] for event in rest["data"]] == [7, 8, 9, 10]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    assert rest["data"][0]["data"] == {"step": 4}


def test_a_stream_ends_with_the_terminal_status(client: TestClient, db: Database, job_id: str) -> None:
    taken = claim(db, job_id)

    def work() -> None:
        time.sleep(0.4)
        steps(db, taken, 0, 3)
        time.sleep(0.4)
        db.run(lambda session: jobs.fail(session, taken, {"code": "x"}, "It broke."))

    worker = threading.Thread(target=work)
    worker.start()
    answer = client.get(f"/jobs/{job_id}/events", headers=STREAM)
    worker.join()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    events = parsed(answer.text)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events] == ["status", "status", "step", "step", "step", "status"]
    assert events[-1]["data"]["to"] == "failed"


def test_a_stream_goes_on_after_the_last_event_seen(client: TestClient, db: Database, job_id: str) -> None:
    taken = claim(db, job_id)
    steps(db, taken, 0, 5)
    db.run(lambda session: jobs.cancelled(session, taken, "Stopped."))
    everything = parsed(client.get(f"/jobs/{job_id}/events", headers=STREAM).text)
    for seen in range(len(everything)):
        resumed = client.get(f"/jobs/{job_id}/events", headers=STREAM | {"Last-Event-ID": str(seen)})
        assert parsed(resumed.text) == everything[seen:]
    done = client.get(f"/jobs/{job_id}/events", headers=STREAM | {"Last-Event-ID": str(len(everything))})
    assert done.status_code == 204


@pytest.mark.parametrize("last", ["x", "", "-1", "9" * 50])
def test_a_last_event_id_that_makes_no_sense_is_harmless(client: TestClient, job_id: str, last: str) -> None:
    client.post(f"/jobs/{job_id}/cancel")
    answer = client.get(f"/jobs/{job_id}/events", headers=STREAM | {"Last-Event-ID": last})
    assert answer.status_code in {200, 204}


def test_a_stream_of_an_unknown_job_is_a_problem(client: TestClient) -> None:
    assert problem_of(client.get("/jobs/job_1/events", headers=STREAM)) == (404, "job-not-found")


def test_curves_are_thinned_and_chosen(client: TestClient, db: Database, job_id: str) -> None:
    steps(db, claim(db, job_id), 0, 100)
    points = client.get(f"/jobs/{job_id}/metrics", params={"names": "train/loss", "max_points": 10}).json()["data"]
    assert len(points) == 10
    assert (points[0]["step"], points[-1]["step"]) == (0, 99)
    assert points[0] | {"at": ""} == {
        "name": "train/loss",
        "step": 0,
        "epoch": 0.0,
        "value": 1.0,
        "attempt": 1,
        "at": "",
    }
    assert client.get(f"/jobs/{job_id}/metrics", params={"names": ["eval/loss", "x"]}).json()["data"] == []
    assert len(client.get(f"/jobs/{job_id}/metrics").json()["data"]) == 100


@pytest.mark.parametrize("query", ["max_points=1", "max_points=x", "name=a", "after=3"])
def test_parameters_of_curves(client: TestClient, job_id: str, query: str) -> None:
    assert client.get(f"/jobs/{job_id}/metrics?{query}").status_code == 422


@pytest.fixture
def server(data_dir: Path, sqlite_url: str, job_id: str) -> Iterator[int]:
    """A second API process's worth of server, on a real socket; gives its port."""
    settings = Settings(_env_file=None, data_dir=data_dir, database_url=sqlite_url, log_level="WARNING")
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        config = uvicorn.Config(create_app(settings), log_config=None, timeout_graceful_shutdown=1)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        running.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def test_a_quiet_stream_says_that_it_is_alive(
    server: int, job_id: str, monkeypatch: pytest.MonkeyPatch, client: TestClient
) -> None:
    monkeypatch.setattr(streaming, "KEEP_ALIVE_SECONDS", 0.2)
    with closing(socket.create_connection(("127.0.0.1", server), timeout=10)) as connection:
        request = f"GET /jobs/{job_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
        connection.sendall(request.encode())
        received = b""
        while received.count(b": still here") < 2:
            received += connection.recv(4096)
    # The client is gone without a word; the server must not mind, and the fixture checks that it ends.
    assert received.count(b"event: status") == 1


def test_a_client_that_comes_back_to_another_process_misses_nothing(
    server: int, client: TestClient, db: Database, job_id: str
) -> None:
    taken = claim(db, job_id)
    steps(db, taken, 0, 50)
    received = ""
    with httpx.stream("GET", f"http://127.0.0.1:{server}/jobs/{job_id}/events", headers=STREAM, timeout=10) as answer:
        for text in answer.iter_text(500):
            received += text
            if received.count("\nevent: step") >= 20:
                break
    seen = [event["seq"] for event in parsed(received.rpartition("\n\n")[0])]
    assert len(seen) < 52
    steps(db, taken, 50, 60)
    db.run(lambda session: jobs.cancelled(session, taken, "Stopped."))
    rest = client.get(f"/jobs/{job_id}/events", headers=STREAM | {"Last-Event-ID": str(seen[-1])})
    assert seen + [event["seq"] for event in parsed(rest.text)] == list(range(1, 64))


def test_two_hundred_streams_do_not_keep_others_waiting(
    server: int, job_id: str, client: TestClient, publish: Callable[..., int]
) -> None:
    del publish
    request = f"GET /jobs/{job_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
    crowd = [socket.create_connection(("127.0.0.1", server), timeout=10) for _ in range(200)]
    try:
        for connection in crowd:
            connection.sendall(request)
        for connection in crowd:
            assert b"200 OK" in connection.recv(4096)
        started = time.monotonic()
        with closing(socket.create_connection(("127.0.0.1", server), timeout=10)) as connection:
            connection.sendall(f"GET /jobs/{job_id} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert b"200 OK" in connection.recv(4096)
        assert time.monotonic() - started < 3
    finally:
        for connection in crowd:
            connection.close()


def test_the_tail_of_a_history_and_the_stream_from_there(client: TestClient, db: Database, job_id: str) -> None:
    taken = claim(db, job_id)
    steps(db, taken, 0, 6)
    newest = client.get(f"/jobs/{job_id}/events", params={"tail": 2}).json()
    assert ([event["seq"] for event in newest["data"]], newest["has_more"]) == ([7, 8], False)
    assert client.get(f"/jobs/{job_id}/events", params={"tail": 0}).json()["data"] == []
    assert len(client.get(f"/jobs/{job_id}/events", params={"tail": 1000}).json()["data"]) == 8
    db.run(lambda session: jobs.cancelled(session, taken, "Stopped."))
    streamed = client.get(f"/jobs/{job_id}/events", params={"tail": 3}, headers=STREAM)
    assert [event["seq"] for event in parsed(streamed.text)] == [7, 8, 9]
    assert problem_of(client.get("/jobs/job_no/events?tail=1")) == (404, "job-not-found")
    assert problem_of(client.get(f"/jobs/{job_id}/events?tail=-1"))[0] == 422
