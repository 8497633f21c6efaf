"""Where a worker keeps the files of its attempts: one locked folder a process, swept when its owner is dead."""

import fcntl
import os
import shutil
from pathlib import Path

from app.ids import new_id

KEPT_LOGS = 100


class Workspace:
    """One worker's folder below ``root``; a lock beside it shows the others that its owner lives."""

    def __init__(self, root: Path, logs: Path) -> None:
        self._root = root
        self._logs = logs
        self.folder = root / new_id("wrk")
        self._lock: int | None = None
        self._made = 0

    def open(self) -> None:
        """Take the folder and remove those of dead workers."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self._lock_file)
        self.folder.mkdir(mode=0o700)
        self._sweep()

    def new_folder(self) -> Path:
        """Make an empty private folder for one attempt."""
        self._made += 1
        folder = self.folder / f"{self._made:06d}"
        (folder / "tmp").mkdir(parents=True, mode=0o700)
        return folder

    def keep_log(self, log_file: Path, name: str) -> Path:
        """Move the log of a failed attempt to where a person finds it; only the newest are kept."""
        kept = self._logs / f"{name}.log"
        shutil.move(log_file, kept)
        for old in sorted(self._logs.glob("*.log"), key=_age, reverse=True)[KEPT_LOGS:]:
            old.unlink(missing_ok=True)
        return kept

    def close(self) -> None:
        """Remove everything and let go of the lock."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock_file.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def _lock_file(self) -> Path:
        return self.folder.with_suffix(".lock")

    def _sweep(self) -> None:
        for lock_file in self._root.glob("*.lock"):
            if lock_file != self._lock_file and (lock := _try_lock(lock_file)) is not None:
                shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
                lock_file.unlink(missing_ok=True)
                os.close(lock)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another worker was tidying up too
        return 0.0


def _lock(path: Path) -> int:
    """Create and lock a file; again when a sweeping neighbour removed it between the two."""
    while True:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)


def _try_lock(path: Path) -> int | None:
    """Lock the file of a dead worker; None while its owner lives."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
