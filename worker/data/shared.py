"""The rows of a training split, their ids, and what a teacher answered to them, as files for a job's other processes.

They are mapped, not read: the memory of a machine holds them once, however many processes there are.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.data.encode import Encoded

ARRAYS = ("tokens", "starts", "labels")
TEACHER = "teacher"
IDS = "ids"


def write_split(split: Encoded, folder: Path) -> None:
    """Write what batches are made of."""
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(split, name), allow_pickle=False)


def read_split(folder: Path) -> Encoded:
    """Map what ``write_split`` wrote."""
    tokens, starts, labels = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS)
    return Encoded(tokens, starts, labels, truncated=0)


def write_teacher(answers: NDArray[np.float32], folder: Path) -> None:
    """Write a teacher's logits, (rows, labels)."""
    np.save(folder / f"{TEACHER}.npy", answers, allow_pickle=False)


def read_teacher(folder: Path) -> NDArray[np.float32] | None:
    """Read them; None: there is no teacher."""
    return _read(folder / f"{TEACHER}.npy")


def write_ids(ids: NDArray[np.int64], folder: Path) -> None:
    """Write which ids the network has embeddings for."""
    np.save(folder / f"{IDS}.npy", ids, allow_pickle=False)


def read_ids(folder: Path) -> NDArray[np.int64] | None:
    """Read them; None: for all."""
    return _read(folder / f"{IDS}.npy")


def _read(file: Path) -> NDArray[Any] | None:
    if not file.is_file():
        return None
    found: NDArray[Any] = np.load(file, allow_pickle=False)
    return found
