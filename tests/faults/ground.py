"""The ground that fields stand on: migrated databases to copy, a Postgres server, a folder with a base model."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from app.store import migrate
from app.store.engine import Database
from tests.conftest import PostgresServer
from tests.faults import dataset
from tests.faults.field import Field, Twin


class Ground:
    """Everything that fields share; ``with`` leaves nothing behind."""

    def __init__(self, *, postgres: bool, real: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tunesmith-faults-", dir=_quick_place()))
        self.base_model = self.folder / "tiny"
        self._template = self.folder / "template.db"
        self._server: PostgresServer | None = None
        self._wants_postgres = postgres
        self._wants_real = real
        self._twin = Twin()
        self._copying = threading.Lock()
        self._count = iter(range(1_000_000))

    def __enter__(self) -> Self:
        self.folder.chmod(0o755)
        writing = self._write_base_model()
        _prepare(f"sqlite:///{self._template}")
        if self._wants_postgres:
            self._server = self._new_server()
            _prepare(self._new_database(self._server, "template", "template0"))
        if writing is not None and writing.wait() != 0:
            raise RuntimeError("The base model could not be written.")
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self, kind: str) -> str:
        """Make a database with empty tables but for the dataset, and give its URL; it goes with the ground."""
        name = f"field_{secrets.token_hex(6)}"
        if kind == "sqlite":
            shutil.copyfile(self._template, self.folder / name)
            return f"sqlite:///{self.folder / name}"
        assert self._server is not None
        with self._copying:  # a template can be copied by one at a time
            return self._new_database(self._server, name, "template")

    @contextmanager
    def field(self, database: str, *, own_server: bool = False) -> Iterator[Field]:
        """Give a field with an empty database, and close it."""
        name = f"{next(self._count)}"
        folder = self.folder / name
        folder.mkdir()
        server = None
        if own_server:
            server = self._new_server()
            url = self._new_database(server, "alone", "template0")
            _prepare(url)
        else:
            url = self.new_database(database)
        field = Field(folder, url, base_model=self.base_model, twin=self._twin, server=server)
        try:
            yield field
        finally:
            field.close()
            field.database.close()
            if server is not None:
                server.__exit__()

    def _new_server(self) -> PostgresServer:
        folder = self.folder / f"postgres-{secrets.token_hex(3)}"
        folder.mkdir()
        return PostgresServer(folder).__enter__()

    @staticmethod
    def _new_database(server: PostgresServer, name: str, template: str) -> str:
        with psycopg.connect(server.url, autocommit=True) as admin:
            words = "CREATE DATABASE {} TEMPLATE {}"
            admin.execute(sql.SQL(words).format(sql.Identifier(name), sql.Identifier(template)))
        return make_url(server.url).set(database=name).render_as_string(hide_password=False)

    def _write_base_model(self) -> "subprocess.Popen[bytes] | None":
        self.base_model.mkdir()
        if self._wants_real:  # in a process of its own: it loads torch, which nothing else here needs
            return subprocess.Popen([sys.executable, "-m", "tests.faults.encoder", str(self.base_model)])
        (self.base_model / "config.json").write_text(json.dumps({"model_type": "bert"}))
        (self.base_model / "model.safetensors").write_bytes(b"weights")
        (self.base_model / "tokenizer.json").write_text("{}")
        return None


def _quick_place() -> str:
    """Name a folder in memory, if there is one: processes are killed here, the power stays on, no disk is awaited."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"


def _prepare(url: str) -> None:
    """Make tables and the dataset."""
    migrate.upgrade(url)
    database = Database(url)
    database.run(dataset.insert)
    database.close()
