"""Artifacts in a folder: what is visible under a key is whole and on the disk."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from app.artifacts.keys import split_key
from app.errors import Conflict, InternalError, NotFound, StorageFull, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class FileStore:
    """Keep artifacts below one folder; several processes may share it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def put(self, key: str, source: Path) -> None:
        """Keep a copy of ``source`` under ``key``, durably and all at once; the same content again is fine.

        Raises Conflict ``artifact-exists`` when the key holds something else, StorageFull, Unavailable.
        """
        target = self._place(key)
        with storage_errors():
            if _size(target) is not None:
                _must_equal(source, target, key)
                return
            _make_folder(target.parent)
            copy_atomically(source, target, durable=True)
            _sync(target.parent)

    def fetch(self, key: str, destination: Path) -> None:
        """Copy the artifact to ``destination``, which is whole as soon as it exists.

        Raises NotFound ``artifact-missing``, StorageFull, Unavailable.
        """
        source = self._existing(key)
        with storage_errors():
            destination.parent.mkdir(parents=True, exist_ok=True)
            # No wait for the disk: a fetched copy can be fetched again, and its hash is checked before use.
            copy_atomically(source, destination, durable=False)

    def read(self, key: str) -> Iterator[bytes]:
        """Give the artifact's content in blocks of a megabyte. Raises NotFound ``artifact-missing``, Unavailable."""
        with storage_errors(), self._open(key) as file:
            while block := file.read(1024 * 1024):
                yield block

    def size(self, key: str) -> int | None:
        """Give the artifact's size in bytes, None when there is none. Raises Unavailable."""
        with storage_errors():
            return _size(self._place(key))

    def list(self, prefix: str) -> Iterator[str]:
        """Give the keys below the folder ``prefix`` in order; an empty prefix means all. Raises Unavailable."""
        start = self._place(prefix) if prefix else self.root
        with storage_errors():
            for folder, names, files in os.walk(start, onerror=_unless_absent):
                names.sort()
                for name in sorted(files):
                    if not name.startswith("."):  # an unfinished copy
                        yield (Path(folder) / name).relative_to(self.root).as_posix()

    def delete(self, key: str) -> None:
        """Remove the artifact and the folders it leaves empty; removing nothing is fine."""
        path = self._place(key)
        with storage_errors():
            path.unlink(missing_ok=True)
            _remove_empty(path, key)

    def remove(self, prefix: str) -> None:
        """Remove everything below the folder ``prefix``, unfinished copies too; removing nothing is fine.

        Raises Unavailable: some of it may still be there.
        """
        folder = self._place(prefix)
        with storage_errors():
            with suppress(FileNotFoundError):  # another process is at it, too
                shutil.rmtree(folder)
            _remove_empty(folder, prefix)

    def _open(self, key: str) -> BinaryIO:
        return self._existing(key).open("rb")

    def _existing(self, key: str) -> Path:
        path = self._place(key)
        with storage_errors():
            if _size(path) is None:
                raise missing(key) if self.root.is_dir() else _unmounted()
        return path

    def _place(self, key: str) -> Path:
        path = self.root.joinpath(*split_key(key))
        if not path.resolve().is_relative_to(self.root):
            raise InternalError(
                detail="An artifact key leads out of the artifact folder through a symbolic link.",
                code="unsafe-artifact-key",
                remedy="Remove the link from the artifact folder.",
            )
        return path


def _size(path: Path) -> int | None:
    """Give the size of a file, None when there is none; a disk that cannot say raises OSError, and is not believed."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _unless_absent(error: OSError) -> None:
    """Pass on why a folder cannot be listed, unless it is because there is none, or another process removed it."""
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _remove_empty(path: Path, key: str) -> None:
    """Remove the folders above ``path`` that are empty now, but for the top ones such as datasets/."""
    with suppress(OSError):  # it is not empty, or another process is about to write into it
        for folder in list(path.parents)[: len(split_key(key)) - 2]:
            folder.rmdir()


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn what the file system says into StorageFull ``storage-full`` or Unavailable ``artifacts-unavailable``."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(
                detail="The disk that holds the artifacts is full.",
                code="storage-full",
                remedy="Free space or enlarge the disk; nothing half-written was left behind.",
            ) from error
        reason = error.strerror or type(error).__name__
        raise Unavailable(
            detail=f"The artifact folder cannot be used: {reason}.",
            code="artifacts-unavailable",
            remedy="Check that the folder of the artifact store is mounted and writable for the service.",
        ) from error


def copy_atomically(source: Path, target: Path, *, durable: bool) -> None:
    """Copy a file so that ``target`` either does not exist or is complete; if ``durable``, on the disk too."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        with source.open("rb") as reader, temporary.open("xb") as writer:
            shutil.copyfileobj(reader, writer, 1024 * 1024)
            writer.flush()
            if durable:
                os.fsync(writer.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make missing folders, each recorded durably in its parent."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _must_equal(source: Path, target: Path, key: str) -> None:
    with source.open("rb") as one, target.open("rb") as other:
        while True:
            block = one.read(1024 * 1024)
            if block != other.read(1024 * 1024):
                raise conflict(key)
            if not block:
                return


def _unmounted() -> Unavailable:
    return Unavailable(
        detail="The artifact folder is not there.",
        code="artifacts-unavailable",
        remedy="Mount the folder of the artifact store, or correct TUNESMITH_ARTIFACTS_URL.",
    )


def conflict(key: str) -> Conflict:
    """Make the error of a key that holds something else."""
    return Conflict(
        detail=f"The artifact {key} exists with another content.",
        code="artifact-exists",
        remedy="Artifacts are never changed; store the new content under a new key.",
    )


def missing(key: str) -> NotFound:
    """Make the error of a key that holds nothing."""
    return NotFound(
        detail=f"The artifact store has no {key}.",
        code="artifact-missing",
        remedy="Restore the artifact store from a backup, or upload or train again.",
    )
