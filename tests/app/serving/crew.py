"""Versions without a model, for the tests of what is around it: they answer with lengths, when they are allowed to."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.serving.policy import BatchPolicy
from app.serving.waiting import Gauge

Ids = NDArray[np.int64]
HAS_SAY = hasattr(os, "sched_getaffinity")
"""Whether the system lets threads choose their processors."""


class Echo:
    """Answers each text with its length; waits at its gate, and keeps what it was given."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """What each text takes."""
        self.gate = threading.Event()
        self.gate.set()
        self.at_gate = threading.Semaphore(0)
        self.batches: list[list[int]] = []
        self.alone: list[bool] = []
        self.processors: list[set[int]] = []
        """Where each batch was computed."""
        self.threads: list[int] = []
        """By whom."""

    def logits(self, ids: Sequence[Ids], *, alone: bool = False) -> NDArray[np.float32]:
        """Run one batch."""
        self.alone.append(alone)
        self.threads.append(threading.get_ident())
        self.processors.append(os.sched_getaffinity(0) if HAS_SAY else set())
        self.batches.append([len(row) for row in ids])
        self.at_gate.release()
        assert self.gate.wait(30)
        time.sleep(self.seconds * len(ids))
        if any(len(row) == 13 for row in ids):
            raise ValueError("thirteen")
        return np.array([[len(row)] for row in ids], np.float32)

    def rest(self) -> None:
        """Give nothing back."""


@dataclass(eq=False)
class Version:
    """What the batcher needs of a loaded version."""

    model: str = "mood"
    version: int = 1
    predictor: Echo = field(default_factory=Echo)
    gauge: Gauge = field(default_factory=Gauge)


def version(items: int = 4, tokens: int = 256, speed: float = 1000.0, price: float = 1.0) -> Version:
    """Make one with a policy."""
    made = Version()
    made.gauge.begin(BatchPolicy(items, tokens, speed, padding_price=price))
    return made


def texts(*lengths: int) -> list[Ids]:
    """Make texts of so many tokens."""
    return [np.zeros(length, np.int64) for length in lengths]
