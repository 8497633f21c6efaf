"""Which schema a database has and which one this program wants, read without the tool that migrates.

That tool and what it loads would take a tenth of the memory of a serving process, which only ever asks this.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from app.errors import InternalError
from app.store.engine import driver_url, make_engine
from app.store.faults import problem_of

SCRIPTS = Path(__file__).parents[2] / "migrations"
_TABLE = "alembic_version"
_NAME = re.compile(r'^(down_)?revision\b[^=\n]*= *"([^"]+)"', re.MULTILINE)


def is_current(url: str) -> bool:
    """Say whether the database has exactly the schema of this program. Raises Unavailable, InternalError."""
    wanted = newest()
    with reachable(), engine_of(url).connect() as connection:
        if not inspect(connection).has_table(_TABLE):
            return False
        seen = connection.scalars(text(f"SELECT version_num FROM {_TABLE}")).all()  # noqa: S608  # a constant
    return set(seen) == wanted


def newest() -> set[str]:
    """Name the revision that no other builds upon; raises InternalError ``migrations-missing``."""
    if not SCRIPTS.is_dir():
        raise InternalError(
            f"The migrations are missing: there is no folder {SCRIPTS}.",
            "migrations-missing",
            "Run from a checkout, installed with pip install -e.",
        )
    names: set[str] = set()
    built_upon: set[str] = set()
    for script in (SCRIPTS / "versions").glob("*.py"):
        for below, name in _NAME.findall(script.read_text(encoding="utf-8")):
            (built_upon if below else names).add(name)
    return names - built_upon


def engine_of(url: str) -> Engine:
    """Make an engine for one short visit."""
    return make_engine(driver_url(url), pool=NullPool)


@contextmanager
def reachable() -> Iterator[None]:
    """Turn trouble with the connection into Unavailable ``database-unavailable``."""
    try:
        yield
    except DBAPIError as error:
        problem = problem_of(error)
        if problem is None:
            raise
        raise problem from error
