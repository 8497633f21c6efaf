"""The doorbell: heard when the broker is well, and never in the way when it is not."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu.message import Message

from app.queue import celery, enqueue, line
from app.queue.celery import make_celery
from app.queue.embedded import EmbeddedBroker
from app.queue.enqueue import Doorbell
from app.settings import Settings


@pytest.fixture
def bell(valkey: EmbeddedBroker) -> Iterator[Doorbell]:
    """A doorbell on a running broker."""
    bell = Doorbell(valkey.url)
    yield bell
    bell.close()


def waiting(broker: EmbeddedBroker) -> list[list[str]]:
    """Take what is in the queue: the arguments of each message."""
    celery, taken = make_celery(broker.url), []
    with celery.connection_for_read() as connection:
        queue = celery.amqp.queues["default"].bind(connection.default_channel)
        while (message := queue.get(no_ack=True)) is not None:
            assert isinstance(message, Message) and message.headers["task"] == "train"
            taken.append(message.payload[0])
    celery.close()
    return taken


def test_a_ring_is_one_message_with_the_id_alone(bell: Doorbell, valkey: EmbeddedBroker) -> None:
    assert bell.ring("job_1") and bell.ring("job_2")
    assert bell.flush(5)
    assert waiting(valkey) == [["job_1"], ["job_2"]]


def test_a_frozen_broker_holds_up_nobody(bell: Doorbell, valkey: EmbeddedBroker) -> None:
    bell.ring("job_1")
    bell.flush(5)
    pid = valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        slowest = 0.0
        for number in range(50):
            began = time.monotonic()
            bell.ring(f"job_{number}")
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 0.2
        assert bell.flush(5), "what cannot be sent is given up, not kept"
    finally:
        os.kill(pid, signal.SIGCONT)
    waiting(valkey)
    bell.ring("job_after")
    assert bell.flush(5)
    assert ["job_after"] in waiting(valkey)


def test_no_broker_holds_up_nobody(tmp_path: Path) -> None:
    for nowhere in (
        Settings(data_dir=tmp_path, broker_url="embedded://"),
        "redis://127.0.0.1:9/0",
        "redis+socket:///none/v.sock?virtual_host=0",
        "nonsense://",
    ):
        bell = Doorbell(nowhere)
        began = time.monotonic()
        assert bell.ring("job_1")
        assert time.monotonic() - began < 0.2
        assert bell.flush(5)
        bell.close()


def test_a_broker_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        bell = Doorbell(f"redis://127.0.0.1:{mute.getsockname()[1]}/0")
        began = time.monotonic()
        bell.ring("job_1")
        assert bell.flush(5)
        assert time.monotonic() - began < 4
        bell.close()


def test_it_finds_the_embedded_broker_when_that_comes_up_later(tmp_path: Path) -> None:
    bell = Doorbell(Settings(data_dir=tmp_path, broker_url="embedded://"))
    bell.ring("job_1")
    assert bell.flush(5)
    for job_id in ("job_2", "job_3"):  # the second time at a server that was restarted
        broker = EmbeddedBroker(tmp_path)
        broker.start()
        for _ in range(2):  # a connection that broke costs one ring
            bell.ring(job_id)
            assert bell.flush(5)
        assert [job_id] in waiting(broker)
        broker.stop()
    bell.close()


def test_a_queue_that_nobody_empties_stops_growing(
    bell: Doorbell, valkey: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "MAX_WAITING", 3)
    for number in range(6):
        bell.ring(f"job_{number}")
    assert bell.flush(5)
    assert len(waiting(valkey)) == 3


def test_too_many_unsent_rings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enqueue, "MAX_UNSENT", 2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        bell = Doorbell(f"redis://127.0.0.1:{mute.getsockname()[1]}/0")
        accepted = [bell.ring(f"job_{number}") for number in range(10)]
        assert accepted[:2] == [True, True] and not all(accepted)
        bell.flush(5)
        bell.close()


def test_many_threads_may_ring(bell: Doorbell, valkey: EmbeddedBroker) -> None:
    threads = [threading.Thread(target=bell.ring, args=(f"job_{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bell.flush(5)
    assert sorted(waiting(valkey)) == sorted([f"job_{number}"] for number in range(20))


def test_a_closed_bell_has_sent_what_it_was_given(valkey: EmbeddedBroker) -> None:
    bell = Doorbell(valkey.url)
    bell.ring("job_1")
    bell.close()
    assert waiting(valkey) == [["job_1"]]
    bell.ring("job_2")  # and it can be used again
    bell.close()
    assert waiting(valkey) == [["job_2"]]


def test_libraries_that_lose_messages_ring_nothing(
    bell: Doorbell, valkey: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery, "SUPPORTED", {"redis": ((99,), (100,))})
    assert bell.ring("job_1")
    assert bell.flush(5)
    assert ["job_1"] not in waiting(valkey)
