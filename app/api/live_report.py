"""Makes the report on a version's real calls out of what was counted."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from app.artifacts.bundle import Manifest
from app.schemas.histograms import CONFIDENCE_BINS, TOKEN_EDGES, Histograms
from app.schemas.live import Distribution, Drift, Live, LiveAccuracy, LiveReference, Window
from app.significance import drift
from app.significance.wilson import wilson
from app.store.live import Judged
from app.store.tables import LiveCount


def live_report(
    version: int, manifest: Manifest, judged: Judged | None, counted: Sequence[LiveCount], edges: Sequence[datetime]
) -> Live:
    """Put together feedback and counts; ``edges`` are the beginnings of the windows and the end of the last."""
    reference = manifest.reference
    windows = []
    for since, until in pairwise(edges):
        found = _histograms([row for row in counted if since <= row.hour < until])
        apart = [] if reference is None or not found.texts else _drift(reference, found)
        windows.append(Window(since=since, until=until, drift=apart, **found.model_dump()))
    return Live(
        model=manifest.model,
        version=version,
        accuracy=None if judged is None else _accuracy(judged, manifest),
        reference=None if reference is None else LiveReference.model_validate(reference.model_dump()),
        windows=windows,
    )


def _accuracy(judged: Judged, manifest: Manifest) -> LiveAccuracy:
    interval = wilson(judged.right, judged.feedback)
    tested = None if manifest.test is None else manifest.test.accuracy
    return LiveAccuracy(
        feedback=judged.feedback,
        right=judged.right,
        accuracy=judged.right / judged.feedback,
        interval=interval,
        since=judged.since,
        until=judged.until,
        test_accuracy=tested,
        compared=None
        if tested is None
        else "lower"
        if interval.high < tested
        else "higher"
        if interval.low > tested
        else "within",
    )


def _histograms(rows: Sequence[LiveCount]) -> Histograms:
    labels: dict[str, int] = {}
    confidence, tokens, texts = [0] * CONFIDENCE_BINS, [0] * (len(TOKEN_EDGES) + 1), 0
    for row in rows:
        if row.kind == "labels":
            labels[row.bin] = labels.get(row.bin, 0) + row.texts
        elif row.kind == "confidence":
            confidence[int(row.bin)] += row.texts
        elif row.kind == "tokens":
            tokens[int(row.bin)] += row.texts
        else:
            texts += row.texts
    return Histograms(texts=texts, labels=dict(sorted(labels.items())), confidence=confidence, tokens=tokens)


def _drift(reference: Histograms, now: Histograms) -> list[Drift]:
    names = sorted(reference.labels.keys() | now.labels.keys())
    first, second = ([found.labels.get(name, 0) for name in names] for found in (reference, now))
    return [
        _apart("labels", first, second),
        _apart("confidence", reference.confidence, now.confidence),
        _apart("tokens", reference.tokens, now.tokens),
    ]


def _apart(of: Distribution, reference: Sequence[int], now: Sequence[int]) -> Drift:
    index, expected = drift.stability_index(reference, now), drift.by_chance(reference, now)
    return Drift(
        of=of,
        stability_index=index,
        jensen_shannon=drift.jensen_shannon(reference, now),
        by_chance=expected,
        verdict=drift.judge(index, expected),
    )
