"""Garbage collection: removes files that no row refers to, long after anyone may have been writing or reading them."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.artifacts.file import FileStore
from app.artifacts.store import ArtifactStore
from app.ids import is_id
from app.retention.leftovers import CHECKPOINTS, remove_checkpoints
from app.store import jobs, retention
from app.store.engine import Database

Kind = Literal["deleted-version", "bundle", "checkpoints", "dataset", "unfinished-copy", "upload", "local-copy"]
"""deleted-version: of one that was deleted. bundle: of an attempt that published nothing. checkpoints: of an ended job.
dataset: that was deleted or never stored. unfinished-copy, upload: of a killed process. local-copy: of a version that
is gone, on this machine."""
DEFAULT_GRACE_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Garbage:
    """One thing that nobody needs."""

    kind: Kind
    place: str
    bytes: int
    remove: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Collector:
    """Finds garbage, each kind with its own proof that nobody needs it; ``data_dir`` is this machine's."""

    database: Database
    artifacts: ArtifactStore
    data_dir: Path
    grace_seconds: float = DEFAULT_GRACE_SECONDS

    def find(self) -> Iterator[Garbage]:
        """Go through all garbage, to be removed or not; nothing is changed here. Raises Unavailable."""
        yield from self._deleted_versions()
        yield from self._bundles()
        yield from self._checkpoints()
        yield from self._datasets()
        yield from self._unfinished_copies()
        yield from self._old_folders("upload", self.data_dir / "uploads", lambda name: name.startswith("up-"))
        with self.database.transaction(read_only=True) as session:
            known = retention.version_ids(session)
        yield from self._old_folders(
            "local-copy",
            self.data_dir / "cache" / "models",
            lambda name: name.partition("-")[0] not in known,
        )

    def _deleted_versions(self) -> Iterator[Garbage]:
        with self.database.transaction(read_only=True) as session:
            found = [(row.prefix, row.bytes) for row in retention.discarded(session, self.grace_seconds)]
        for prefix, size in found:
            yield Garbage("deleted-version", prefix, size, lambda prefix=prefix: self._remove_discarded(prefix))  # type: ignore[misc]

    def _remove_discarded(self, prefix: str) -> None:
        self.artifacts.remove(prefix)
        self.database.run(lambda session: retention.forget(session, prefix))

    def _bundles(self) -> Iterator[Garbage]:
        """Find folders ``models/JOB/ATTEMPT`` without a version, of jobs that ended long ago."""
        sizes = self._sizes("models", depth=3)  # before the rows are read: what is published meanwhile has one
        jobs_of = {prefix: prefix.split("/")[1] for prefix in sizes}
        with self.database.transaction(read_only=True) as session:
            referred = retention.prefixes(session)
            busy = retention.recent_jobs(session, set(jobs_of.values()), self.grace_seconds)
        for prefix, size in sizes.items():
            job_id = jobs_of[prefix]
            if prefix not in referred and job_id not in busy and self._is_old(job_id):
                yield Garbage("bundle", prefix, size, lambda prefix=prefix: self.artifacts.remove(prefix))  # type: ignore[misc]

    def _checkpoints(self) -> Iterator[Garbage]:
        sizes = self._sizes(CHECKPOINTS, depth=2)
        ids = {prefix.split("/")[1] for prefix in sizes}
        with self.database.transaction(read_only=True) as session:
            unfinished = jobs.unfinished(session, ids)
        for prefix, size in sizes.items():
            if prefix.split("/")[1] not in unfinished:
                yield Garbage(
                    "checkpoints",
                    prefix,
                    size,
                    lambda prefix=prefix: remove_checkpoints(self.artifacts, prefix),  # type: ignore[misc]
                )

    def _datasets(self) -> Iterator[Garbage]:
        """Find rows of datasets that do not exist; an upload stores its file first and its row second."""
        sizes = self._sizes("datasets", depth=2)
        ids = {prefix.split("/")[1] for prefix in sizes}
        with self.database.transaction(read_only=True) as session:
            known = retention.known_datasets(session, ids)
        for prefix, size in sizes.items():
            dataset_id = prefix.split("/")[1]
            if dataset_id not in known and self._is_old(dataset_id):
                yield Garbage("dataset", prefix, size, lambda prefix=prefix: self.artifacts.remove(prefix))  # type: ignore[misc]

    def _unfinished_copies(self) -> Iterator[Garbage]:
        """Find half-written files in a folder of artifacts; a bucket shows none."""
        if not isinstance(self.artifacts, FileStore):
            return
        for path in sorted(self.artifacts.root.rglob(".*.part")):
            if path.is_file() and self._is_stale(path):
                size = path.stat().st_size
                place = path.relative_to(self.artifacts.root).as_posix()
                yield Garbage("unfinished-copy", place, size, lambda path=path: path.unlink(missing_ok=True))  # type: ignore[misc]

    def _old_folders(self, kind: Kind, parent: Path, wanted: Callable[[str], bool]) -> Iterator[Garbage]:
        for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
            if folder.is_dir() and wanted(folder.name.lstrip(".")) and self._is_stale(folder):
                size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
                yield Garbage(kind, str(folder), size, lambda folder=folder: shutil.rmtree(folder, ignore_errors=True))  # type: ignore[misc]

    def _sizes(self, root: str, *, depth: int) -> Counter[str]:
        """Add up the bytes below each folder of so many parts."""
        sizes: Counter[str] = Counter()
        for key in self.artifacts.list(root):
            parts = key.split("/")
            if len(parts) > depth:
                sizes["/".join(parts[:depth])] += self.artifacts.size(key) or 0
        return sizes

    def _is_stale(self, path: Path) -> bool:
        return time.time() - path.stat().st_mtime > self.grace_seconds

    def _is_old(self, name: str) -> bool:
        """Tell the age of what is named by an id, which begins with its time; nothing else is ever garbage."""
        if not (is_id(name, "job") or is_id(name, "ds")):
            return False
        millis = int(name.partition("_")[2][:12], 16)
        return time.time() - millis / 1000 > self.grace_seconds
