"""What a run reads off its instruments: kept on the device, fetched only when somebody looks."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

SIGN_OF_LIFE_SECONDS = 2.0
EXPLODED_NORM = 1e6
"""A gradient norm above this is no gradient of a mean loss any more: healthy ones stay below a few hundred."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Means since the last logged reading."""

    loss: float
    grad_norm: float | None
    accuracy: float
    """Share of the rows that were answered right as they were learned from, dropout and all."""
    examples_per_second: float
    seconds_per_step: float
    logged: bool


class Meter:
    """Gathers losses, norms and times. Reading a GPU tensor waits for the GPU, so nothing is read in between."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device)  # sum since the last logged reading
        self._hits = torch.zeros((), dtype=torch.int64, device=device)  # rows answered right since then
        self._norm = torch.zeros((), device=device)
        self._bad_loss = torch.zeros((), dtype=torch.int64, device=device)  # first step without a finite loss; 0: none
        self._bad_norm = torch.zeros((), dtype=torch.int64, device=device)
        self._exploded = torch.zeros((), dtype=torch.int64, device=device)
        self._steps = 0
        self._timed_steps = 0
        self._examples = 0  # for the speed: a resumed run begins anew
        self._rows = 0  # for the accuracy: a resumed run goes on
        self._began = self._spoke = time.perf_counter()
        self._logged = False
        self.newest_pause = 0.0

    def start(self) -> None:
        """Start the clock."""
        self._began = self._spoke = time.perf_counter()

    def add(self, loss: Tensor, norm: Tensor, *, hits: Tensor, examples: int, step: int) -> None:
        """Take note of one optimizer step; ``hits`` of its examples were answered right."""
        self._loss += loss
        self._hits += hits
        self._norm = norm.detach()
        self._bad_loss = _first(self._bad_loss, ~torch.isfinite(loss), step)
        self._bad_norm = _first(self._bad_norm, ~torch.isfinite(norm), step)
        self._exploded = _first(self._exploded, norm.isfinite() & (norm > EXPLODED_NORM), step)
        self._steps += 1
        self._timed_steps += 1
        self._examples += examples
        self._rows += examples

    def due(self, step: int, every: int, total: int) -> bool:
        """Tell whether it is time for a reading: a logged one, or a mere sign of life."""
        self._logged = step == 1 or step % every == 0 or step == total
        return self._logged or time.perf_counter() - self._spoke >= SIGN_OF_LIFE_SECONDS

    def read(self) -> Reading:
        """Fetch the means; after a logged reading they begin anew."""
        now = time.perf_counter()
        seconds = max(now - self._began, 1e-9)
        norm = float(self._norm)
        reading = Reading(
            loss=float(self._loss) / max(1, self._steps),
            grad_norm=norm if math.isfinite(norm) else None,
            accuracy=int(self._hits) / max(1, self._rows),
            examples_per_second=self._examples / seconds,
            seconds_per_step=seconds / max(1, self._timed_steps),
            logged=self._logged,
        )
        self._spoke = now
        if self._logged:
            self._loss.zero_()
            self._hits.zero_()
            self._steps = self._timed_steps = self._examples = self._rows = 0
            self._began = now
        return reading

    def first_bad_step(self, *, norms: bool) -> int | None:
        """Give the first step whose loss, or with ``norms`` whose gradient, was not finite."""
        steps = [int(self._bad_loss)] + ([int(self._bad_norm)] if norms else [])
        return min((step for step in steps if step), default=None)

    def exploded_step(self) -> int | None:
        """Give the first step whose gradient was finite and far too large."""
        return int(self._exploded) or None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock meanwhile, so that evaluations do not count as slow steps."""
        start = time.perf_counter()
        yield
        self.newest_pause = time.perf_counter() - start
        self._began += self.newest_pause
        self._spoke += self.newest_pause

    def state(self) -> dict[str, Any]:
        """Give what the next logged loss and accuracy are made of."""
        return {"sum": float(self._loss), "steps": self._steps, "hits": int(self._hits), "rows": self._rows}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken; times begin anew."""
        self._loss.fill_(state["sum"])
        self._steps = state["steps"]
        self._hits.fill_(state["hits"])
        self._rows = state["rows"]


def _first(known: Tensor, bad: Tensor, step: int) -> Tensor:
    return torch.where((known == 0) & bad, torch.full_like(known, step), known)
