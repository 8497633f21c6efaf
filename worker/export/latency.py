"""How long an exported format takes to answer, on one thread of this machine."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from app.schemas.models import ExportLatency
from worker.export.source import Answer, Rows, Texts

MANY = 32
SECONDS = 0.3
"""How long each of the two figures is measured, unless a single call takes longer."""
MOST_CALLS = 200
LONGEST_CALL = 10.0
"""Seconds; a batch that would take longer is not tried."""


def measure(answer: Answer, rows: Rows, check: Callable[[], None]) -> ExportLatency:
    """Measure one text of median length, then 32 of all lengths; fewer rows are repeated."""
    spread = rows.spread(MANY)
    with _one_thread():
        alone = _median(answer, Texts.of(rows, spread[len(spread) // 2 :][:1]))
        check()
        together = None
        if alone * MANY < LONGEST_CALL:
            together = _median(answer, Texts.of(rows, np.resize(spread, MANY))) / MANY
    check()
    return ExportLatency(
        batch_1_ms=round(alone * 1e3, 3), batch_32_ms=None if together is None else round(together * 1e3, 3)
    )


def _median(answer: Answer, texts: Texts) -> float:
    """Give the median seconds of a call; the first one warms up and does not count."""
    answer(texts)
    took: list[float] = []
    began = time.perf_counter()
    while not took or (len(took) < MOST_CALLS and time.perf_counter() - began < SECONDS):
        before = time.perf_counter()
        answer(texts)
        took.append(time.perf_counter() - before)
    return statistics.median(took)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Give torch as many threads as the server's predictor has: one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
