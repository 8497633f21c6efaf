"""A migrated, empty SQLite database for any test: migrated once in this process, then copied."""

import tempfile
from functools import cache
from pathlib import Path

from app.store import migrate


def migrated_sqlite(file: Path) -> str:
    """Write the database, with the folders above it, and give its URL."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_migrated())
    return f"sqlite:///{file}"


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory(prefix="tunesmith-template-") as folder:
        file = Path(folder) / "tunesmith.db"
        migrate.upgrade(f"sqlite:///{file}")
        return file.read_bytes()
