"""Migrations: what they build is what app.store.tables describes, they can be undone, and they keep to themselves."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.pool import NullPool

from app.errors import InternalError, Unavailable
from app.store import migrate, revision
from app.store.engine import driver_url, make_engine
from app.store.tables import Base


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'tunesmith.db'}"
    empty: str = request.getfixturevalue("empty_postgres_url")
    return empty


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An engine on the empty database."""
    engine = make_engine(driver_url(url), pool=NullPool)
    yield engine
    engine.dispose()


def is_textual_index(_object: Any, name: str | None, kind: str, *_: Any) -> bool:
    """Leave out the index whose direction SQLite's reflection does not tell; its SQL is compared below."""
    return not (kind == "index" and name == "ix_jobs_claimable")


def test_migrated_schema_equals_the_tables(url: str, engine: Engine) -> None:
    migrate.upgrade(url)
    options: dict[str, Any] = {"compare_type": True, "compare_server_default": True}
    if engine.dialect.name == "sqlite":
        options["include_object"] = is_textual_index
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_constraints_and_indexes_equal_the_tables(url: str, engine: Engine, tmp_path: Path, request: Any) -> None:
    """What autogenerate does not compare: CHECK rules, conditions of indexes, what happens ON DELETE."""
    migrate.upgrade(url)
    migrated = fine_print(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
    assert fine_print(engine) == migrated


def fine_print(engine: Engine) -> dict[str, Any]:
    """Read the details of every table, and of indexes their definition."""
    inspector = inspect(engine)
    names = sorted(set(inspector.get_table_names()) - {"alembic_version"})
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
        else:
            query = (
                "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
                " AND tablename <> 'alembic_version' ORDER BY indexname"
            )
        indexes = {name: " ".join(definition.split()) for name, definition in connection.execute(text(query))}
    return {"indexes": indexes} | {
        name: {
            "checks": sorted((check["name"], check["sqltext"]) for check in inspector.get_check_constraints(name)),
            "foreign": sorted(map(str, inspector.get_foreign_keys(name))),
            "unique": sorted(map(str, inspector.get_unique_constraints(name))),
            "primary": inspector.get_pk_constraint(name),
            "columns": sorted((column["name"], column["nullable"]) for column in inspector.get_columns(name)),
        }
        for name in names
    }


def test_downgrade_removes_everything_and_upgrade_brings_it_back(url: str, engine: Engine) -> None:
    migrate.upgrade(url)
    migrate.downgrade(url, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    assert not revision.is_current(url)
    migrate.upgrade(url)
    assert set(inspect(engine).get_table_names()) == set(Base.metadata.tables) | {"alembic_version"}


def test_a_database_knows_whether_it_is_current(url: str) -> None:
    assert not revision.is_current(url)
    migrate.upgrade(url)
    migrate.upgrade(url)  # once more changes nothing
    assert revision.is_current(url)


def test_a_newer_database_is_refused(url: str, engine: Engine) -> None:
    migrate.upgrade(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    assert not revision.is_current(url)
    with pytest.raises(InternalError) as caught:
        migrate.upgrade(url)
    assert caught.value.code == "database-newer"


def test_a_migration_that_fails_leaves_nothing(url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE model_aliases (in_the_way INTEGER)"))  # the last one it makes
    with pytest.raises(InternalError) as caught:
        migrate.upgrade(url)
    assert "model_aliases" in str(caught.value.__cause__)  # its own words are for anyone, and quote no SQL
    assert set(inspect(engine).get_table_names()) <= {"model_aliases", "alembic_version"}
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE model_aliases"))
    migrate.upgrade(url)
    assert revision.is_current(url)


def test_processes_that_start_together_migrate_once(url: str) -> None:
    program = "import sys; from app.store.migrate import upgrade; upgrade(sys.argv[1])"
    root = Path(migrate.__file__).parents[2]
    starts = [subprocess.Popen([sys.executable, "-c", program, url], cwd=root) for _ in range(3)]
    assert [start.wait(60) for start in starts] == [0, 0, 0]
    assert revision.is_current(url)


def test_logging_of_the_host_stays_as_it_is(sqlite_url: str, tmp_path: Path) -> None:
    def state() -> list[Any]:
        loggers = [logging.getLogger(name) for name in ("", "alembic", "sqlalchemy", "tunesmith-test")]
        return [(logger.level, list(logger.handlers), logger.disabled) for logger in loggers]

    before = state()
    migrate.upgrade(f"sqlite:///{tmp_path / 'other.db'}")
    assert state() == before


def test_a_percent_sign_in_the_path_is_no_trap(tmp_path: Path) -> None:
    folder = tmp_path / "50% off"
    folder.mkdir()
    migrate.upgrade(f"sqlite:///{folder / 'tunesmith.db'}")
    assert revision.is_current(f"sqlite:///{folder / 'tunesmith.db'}")


def test_no_server_and_no_password_are_unavailable() -> None:
    for verb in (migrate.upgrade, revision.is_current):
        with pytest.raises(Unavailable) as caught:
            verb("postgresql://nobody:nothing@127.0.0.1:9/none")
        assert caught.value.code == "database-unavailable"


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "tunesmith.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(InternalError):
        migrate.upgrade(f"sqlite:///{path}")
    assert path.read_bytes() == b"not a database at all" * 100


def test_the_newest_revision_is_told_without_the_tool_that_migrates() -> None:
    config = Config()
    config.set_main_option("script_location", str(revision.SCRIPTS))
    assert revision.newest() == set(ScriptDirectory.from_config(config).get_heads())
