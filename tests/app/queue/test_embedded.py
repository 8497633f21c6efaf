"""The embedded broker: private, durable across crashes, and never an orphan."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from kombu.connection import Connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.errors import Conflict, Unavailable
from app.queue import address, embedded
from app.queue.embedded import EmbeddedBroker, broker_url
from app.settings import Settings
from tests.processes import is_alive, until

ROOT = Path(embedded.__file__).parents[2]


def client(folder: Path) -> redis.Redis:
    found = address.Address.read(folder / "broker.json")
    assert found is not None
    password = (folder / "broker" / "secret").read_text()
    return redis.Redis(unix_socket_path=found.socket, password=password, socket_timeout=5, retry=Retry(NoBackoff(), 0))


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns a broker, started from a thread that soon ends."""
    program = (
        "import sys, threading, pathlib, time\n"
        "from app.queue.embedded import EmbeddedBroker\n"
        "broker = EmbeddedBroker(pathlib.Path(sys.argv[1]))\n"
        "starter = threading.Thread(target=broker.start)\n"
        "starter.start(); starter.join()\n"
        "print(broker.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "data")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.wait()


def test_it_answers_under_its_url(valkey: EmbeddedBroker) -> None:
    with Connection(valkey.url) as connection:
        connection.ensure_connection(max_retries=1)
        assert connection.default_channel.client.ping()


def test_only_its_owner_can_reach_it(valkey: EmbeddedBroker, tmp_path: Path) -> None:
    folder = tmp_path / "valkey"
    info = json.loads((folder / "broker.json").read_text())
    assert stat.S_IMODE((folder / "broker.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "broker" / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(info["socket"]).parent.stat().st_mode) == 0o700
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(unix_socket_path=info["socket"], retry=Retry(NoBackoff(), 0)).ping()
    assert client(folder).config_get("port") == {"port": "0"}, "no network at all"
    command = Path(f"/proc/{valkey.pid}/cmdline").read_bytes()
    assert (folder / "broker" / "secret").read_bytes() not in command


def test_it_keeps_messages_over_a_crash_and_comes_back_by_itself(valkey: EmbeddedBroker, tmp_path: Path) -> None:
    before = client(tmp_path / "valkey")
    before.set("kept", "1")
    before.config_set("appendfsync", "always")
    before.set("kept", "2")
    killed, url = valkey.pid, valkey.url
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    until(lambda: valkey.pid not in (None, killed))
    until(lambda: _get(tmp_path / "valkey") == b"2")
    assert valkey.url == url, "workers keep their address"


def _get(folder: Path) -> bytes | None:
    try:
        return client(folder).get("kept")
    except redis.RedisError:
        return None


def test_a_damaged_file_does_not_keep_it_down(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path)
    broker.start()
    client(tmp_path).set("a", "b")
    broker.stop()
    for path in (tmp_path / "broker" / "appendonlydir").iterdir():
        path.write_bytes(b"\0nonsense\n" * 10)
    broker.start()
    assert client(tmp_path).ping()
    broker.stop()


def test_starts_follow_each_other_quickly(tmp_path: Path) -> None:
    urls = set()
    for _ in range(3):
        broker = EmbeddedBroker(tmp_path)
        broker.start()
        urls.add(broker.url)
        pid = broker.pid
        broker.stop()
        broker.stop()
        assert pid is not None and not is_alive(pid)
        assert not (tmp_path / "broker.json").exists()
    assert len(urls) == 1


def test_a_stopped_server_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "STOP_SECONDS", 0.2)
    broker = EmbeddedBroker(tmp_path)
    broker.start()
    pid = broker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    broker.stop()
    assert not is_alive(pid)


def test_a_second_owner_is_refused(valkey: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LOCK_SECONDS", 0.2)
    second = EmbeddedBroker(tmp_path / "valkey")
    with pytest.raises(Conflict) as caught:
        second.start()
    second.stop()
    assert caught.value.code == "broker-already-running"
    assert client(tmp_path / "valkey").ping(), "the first one is unharmed"


def test_it_dies_with_its_owner_and_the_next_start_works(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    assert owner.stdout is not None
    server = int(owner.stdout.readline())
    assert is_alive(server), "the thread that called start() has ended, and the server lives"
    os.kill(owner.pid, signal.SIGKILL)
    until(lambda: not is_alive(server))
    assert (tmp_path / "data" / "broker.json").exists(), "what it left behind"
    began = time.monotonic()
    heir = EmbeddedBroker(tmp_path / "data")
    heir.start()
    assert time.monotonic() - began < 5
    assert client(tmp_path / "data").ping()
    heir.stop()


def test_other_processes_find_it_by_file(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", broker_url="embedded://")
    with pytest.raises(Unavailable) as caught:
        broker_url(Settings(data_dir=tmp_path / "none", broker_url="embedded://"))
    assert caught.value.code == "broker-not-running"
    assert owner.stdout is not None
    owner.stdout.readline()
    assert broker_url(settings).startswith("redis+socket://:")
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    time.sleep(0.2)
    with pytest.raises(Unavailable) as caught:
        broker_url(settings)
    assert caught.value.code == "broker-not-running"


def test_a_configured_broker_is_taken_as_it_is(tmp_path: Path) -> None:
    assert broker_url(Settings(data_dir=tmp_path, broker_url="redis://h:1/2")) == "redis://h:1/2"


@pytest.mark.parametrize("name", ["x" * 120, "with space and ? # % é", 'quo"te'])
def test_any_data_folder_will_do(tmp_path: Path, name: str) -> None:
    broker = EmbeddedBroker(tmp_path / name)
    broker.start()
    info = address.Address.read(tmp_path / name / "broker.json")
    assert info is not None and len(os.fsencode(info.socket)) <= 100
    assert stat.S_IMODE(Path(info.socket).parent.stat().st_mode) == 0o700
    with Connection(broker.url) as connection:
        assert connection.default_channel.client.ping()
    broker.stop()
    assert not Path(info.socket).exists()
    assert Path(info.socket).parent == tmp_path / name / "broker" or not Path(info.socket).parent.exists()


def test_a_folder_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    expected = address.socket_path(folder).parent
    expected.chmod(0o777)
    try:
        chosen = address.socket_path(folder).parent
        assert chosen != expected
        chosen.rmdir()
    finally:
        expected.rmdir()


def test_without_a_server_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable) as caught:
        EmbeddedBroker(tmp_path).start()
    assert caught.value.code == "broker-missing" and "embedded" in (caught.value.remedy or "")
