"""One version in memory, warmed up and measured."""

import time
from dataclasses import dataclass, field

import numpy as np

from app.schemas.jobs import ServedFormat
from app.serving.batcher import Gauge
from app.serving.predictor import Predictor

WARM_UP_LENGTHS = (8, 32, 64)
"""Tokens of the texts that warm a version up and measure it."""


@dataclass(slots=True)
class LoadedVersion:
    """One version in memory, in one format."""

    model: str
    version: int
    predictor: Predictor
    bytes: int
    gauge: Gauge = field(default_factory=Gauge)
    users: int = 0
    """Calls in flight; a version in use is never let go."""

    @property
    def format(self) -> ServedFormat:
        """Name the format that answers."""
        return self.predictor.manifest.serve


def warm_up(version: LoadedVersion) -> None:
    """Run the version once at a few lengths, so that the first caller pays nothing, and note its speed."""
    longest = version.predictor.encoder.settings.max_length
    for length in WARM_UP_LENGTHS:
        ids = np.full(min(length, longest), version.predictor.encoder.settings.pad_token_id, dtype=np.int64)
        version.predictor.logits([ids])
        started = time.perf_counter()
        version.predictor.logits([ids, ids])
        version.gauge.tokens_per_second = 2 * len(ids) / (time.perf_counter() - started)
