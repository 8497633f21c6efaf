"""Which format of a version answers: the one its job chose, the exact one, or the fastest that passed its gate."""

from collections.abc import Iterable

from app.artifacts.bundle import SERVED_FILES, Manifest
from app.schemas.jobs import ServedFormat
from app.schemas.models import ExportVerdict
from app.schemas.predictions import Prefer

EXACT: ServedFormat = "onnx"
"""Computes in fp32, as the trained model does; every bundle has it."""


def choose(manifest: Manifest, prefer: Prefer | None) -> ServedFormat:
    """Give the format that answers a call with this preference."""
    if prefer is None:
        return manifest.serve
    return EXACT if prefer == "accuracy" else fastest(manifest.exports) or manifest.serve


def fastest(verdicts: Iterable[ExportVerdict]) -> ServedFormat | None:
    """Give the format that answers a single text soonest, of those that passed and a server can load."""
    passed = {verdict.format: verdict for verdict in verdicts if verdict.passed}
    loadable = [name for name in SERVED_FILES if name in passed]
    return min(loadable, key=lambda name: _seconds(passed[name]), default=None)


def _seconds(verdict: ExportVerdict) -> float:
    return float("inf") if verdict.latency is None else verdict.latency.batch_1_ms
