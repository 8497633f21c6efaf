"""The Celery application against a real broker and a real worker."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu.connection import Connection

from app.errors import InternalError
from app.queue import celery as module
from app.queue.celery import check_versions, make_celery
from app.queue.embedded import EmbeddedBroker

ROOT = Path(module.__file__).parents[2]
WORKER = """
import sys
from app.queue.celery import make_celery

celery = make_celery(sys.argv[1])

@celery.task(name="train")
def train(job_id):
    with open(sys.argv[2], "a") as file:
        file.write(job_id + "\\n")

celery.worker_main(["worker", "-l", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"])
"""


@pytest.fixture
def heard(valkey: EmbeddedBroker, tmp_path: Path) -> Iterator[Path]:
    """The file in which a real worker notes the jobs it heard of."""
    path = tmp_path / "heard"
    path.touch()
    worker = subprocess.Popen([sys.executable, "-c", WORKER, valkey.url, str(path)], cwd=ROOT)
    yield path
    worker.terminate()
    assert worker.wait(20) == 0


def lines(path: Path, count: int, seconds: float = 30) -> list[str]:
    deadline = time.monotonic() + seconds
    while len(path.read_text().splitlines()) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return path.read_text().splitlines()


def test_a_worker_hears_the_ring(valkey: EmbeddedBroker, heard: Path) -> None:
    celery = make_celery(valkey.url)
    for number in range(3):
        celery.send_task("train", args=[f"job_{number}"], queue="default")
    assert lines(heard, 3) == ["job_0", "job_1", "job_2"]
    # A pickle is not opened, an unknown task not run, and the worker goes on.
    with Connection(valkey.url, transport_options={"global_keyprefix": "ts:"}) as connection:
        producer = connection.Producer()
        producer.publish({"x": 1}, routing_key="default", exchange="default", serializer="pickle")
    celery.send_task("os.system", args=["true"], queue="default")
    celery.send_task("train", args=["job_3"], queue="default")
    assert lines(heard, 4)[-1] == "job_3"
    celery.close()


def test_nothing_is_stored_but_the_message(valkey: EmbeddedBroker) -> None:
    celery = make_celery(valkey.url)
    celery.send_task("train", args=["job_1"], queue="default")
    with celery.connection_for_read() as connection:
        keys = sorted(key.decode() for key in connection.default_channel.client.keys("*"))
    assert keys == ["ts:_kombu.binding.default", "ts:_kombu.binding_permanent.default", "ts:default"]
    celery.close()


def test_queue_names_come_from_us(valkey: EmbeddedBroker) -> None:
    celery = make_celery(valkey.url, ["default", "gpu"])
    assert list(celery.amqp.queues) == ["default", "gpu"]
    with pytest.raises(Exception, match="injected"):
        celery.send_task("train", args=["job_1"], queue="injected")
    celery.close()


def test_every_setting_is_one_that_celery_knows() -> None:
    conf = make_celery("memory://").conf
    known = {key for section in conf.maps for key in section}
    assert set(module.SETTINGS) <= known
    assert conf.task_acks_late is False and conf.accept_content == ["json"] and conf.result_backend is None
    assert conf.worker_pool == "threads" and conf.worker_enable_remote_control is False
    assert conf.broker_transport_options["socket_timeout"] == 5


def test_versions_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    check_versions()
    monkeypatch.setattr(module, "version", lambda name: "5.6.3" if name == "kombu" else "7.0.0")
    with pytest.raises(InternalError) as caught:
        check_versions()
    assert caught.value.code == "unsupported-library"


@pytest.mark.parametrize(
    ("installed", "fine"), [("6.3.9", False), ("6.4", True), ("8.10.0", True), ("9.0.0", False), ("6.4.0rc1", True)]
)
def test_versions_compare_as_numbers(monkeypatch: pytest.MonkeyPatch, installed: str, fine: bool) -> None:
    monkeypatch.setattr(module, "SUPPORTED", {"redis": module.SUPPORTED["redis"]})
    monkeypatch.setattr(module, "version", lambda name: installed)
    if fine:
        check_versions()
    else:
        with pytest.raises(InternalError):
            check_versions()
