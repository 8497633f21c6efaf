"""The ear of a worker at a real broker: rings, rubbish, and a broker that comes, goes and comes back."""

import queue
import re
import shutil
import tempfile
import time
from pathlib import Path

import httpx
import pytest
import redis
from celery.worker import state

from app import telemetry
from app.errors import Unavailable
from app.queue.celery import make_celery
from app.queue.embedded import EmbeddedBroker
from app.queue.names import KEY_PREFIX
from worker.listener import DEAF_AFTER, DEAF_PAUSE_SECONDS, DeafWatch, Listener


class Bell:
    """Counts rings."""

    def __init__(self):
        self._rings = queue.Queue()

    def ring(self):
        self._rings.put(time.monotonic())

    def heard(self, seconds):
        try:
            self._rings.get(timeout=seconds)
        except queue.Empty:
            return False
        return True


@pytest.fixture
def broker():
    folder = Path(tempfile.mkdtemp())  # short, for the socket's path
    broker = EmbeddedBroker(folder)
    broker.start()
    yield broker
    broker.stop()
    shutil.rmtree(folder)


@pytest.fixture
def listen():
    started = []

    def listen(broker_url, bell):
        started.append(Listener(broker_url, ["default"], bell.ring))
        started[-1].start()
        return started[-1]

    yield listen
    for listener in started:
        listener.stop(10.0)
        assert not listener._thread.is_alive()


def send(url, name="train", arguments=("job_1",)):
    make_celery(url).send_task(name, args=list(arguments), queue="default")


def client(broker):
    return redis.Redis.from_url(broker.url.replace("redis+socket://", "unix://").replace("virtual_host", "db"))


def test_a_ring_is_heard(broker, listen):
    bell = Bell()
    listen(lambda: broker.url, bell)
    for _ in range(3):
        send(broker.url)
        assert bell.heard(10.0)


def test_rubbish_in_the_queue_deafens_nobody_for_long(broker, listen):
    bell = Bell()
    listener = listen(lambda: broker.url, bell)
    send(broker.url)
    assert bell.heard(10.0)
    for rubbish in (b"garbage", b'{"body": ', b"\x80\x04K\x01."):
        client(broker).lpush(f"{KEY_PREFIX}default", rubbish)
    send(broker.url, "no-such-task")
    send(broker.url, arguments=())
    send(broker.url)
    assert bell.heard(20.0)
    assert listener.started > 1


def test_a_broker_that_comes_late_is_found(broker, listen):
    bell, there = Bell(), []

    def url():
        if not there:
            raise Unavailable("Nothing there.", "broker-not-running")
        return broker.url

    listen(url, bell)
    time.sleep(0.3)
    there.append(True)
    send(broker.url)
    assert bell.heard(10.0)


def test_a_deaf_listener_gets_new_ears(broker, listen):
    bell = Bell()
    listener = listen(lambda: broker.url, bell)
    send(broker.url)
    assert bell.heard(10.0)
    listener.restart()
    deadline = time.monotonic() + 10.0
    while listener.started < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    send(broker.url)
    assert bell.heard(10.0)


def test_an_absent_broker_does_not_hold_up_the_end(listen):
    listener = listen(lambda: "redis://127.0.0.1:9/0", Bell())
    time.sleep(0.5)
    began = time.monotonic()
    listener.stop(10.0)
    assert time.monotonic() - began < 5.0


def test_a_deaf_listener_is_started_anew_and_counted(monkeypatch):
    monkeypatch.setattr(state, "should_stop", None)
    now = [0.0]
    watch = DeafWatch(Listener(lambda: "", ["default"], Bell().ring), clock=lambda: now[0])
    port = telemetry.serve("127.0.0.1", 0)

    def restarts():
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        return float(re.search(r"^tunesmith_listener_restarts_total (.+)$", page, re.MULTILINE)[1])

    before = restarts()
    assert not watch.look(DEAF_AFTER)  # it has only just begun
    now[0] += DEAF_PAUSE_SECONDS
    assert not watch.look(DEAF_AFTER - 1)
    assert state.should_stop is None
    assert watch.look(DEAF_AFTER)
    assert state.should_stop == 0  # what ends celery's consumer
    assert not watch.look(DEAF_AFTER)  # the new one has its time, too
    assert restarts() == before + 1
