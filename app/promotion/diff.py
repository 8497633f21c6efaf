"""The difference of two versions of a model: settings, data, scores, and the answers that changed."""

from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from app.artifacts.bundle import Manifest
from app.artifacts.store import ArtifactStore
from app.promotion.answers import Incomparable, Kept, paired
from app.schemas.datasets import SplitName
from app.schemas.diffs import (
    ChangedPrediction,
    ChangeKind,
    ClassDiff,
    DataDiff,
    MetricDiff,
    PredictionDiff,
    SettingDiff,
    SliceDiff,
    VersionDiff,
)
from app.schemas.judgements import SliceScores
from app.schemas.metrics import ClassScores, Evaluation
from app.significance.judging import Pair, compare
from app.text.excerpts import excerpt

Texts = Callable[[SplitName, Collection[int]], Mapping[int, str]]
"""Gives the texts at some places of a split of the other's dataset, as far as there are any."""
_NOT_SCORES = {"split", "per_class", "confusion_matrix", "tasks"}


def diff(model: str, one: Kept, other: Kept, artifacts: ArtifactStore, texts: Texts, *, examples: int) -> VersionDiff:
    """Compare two versions, the ``one`` before and the ``other`` after. Raises Unavailable."""
    before, after = one.manifest, other.manifest
    pair, why = None, None
    try:
        pair = paired(artifacts, other, one)
    except Incomparable as error:
        why = str(error)
    return VersionDiff(
        model=model,
        from_version=one.number,
        to_version=other.number,
        base_model_before=before.base_model,
        base_model_after=after.base_model,
        hyperparameters=list(_settings(before.hyperparameters, after.hyperparameters)),
        data=_data(before, after),
        metrics=list(_metrics(before, after)),
        intervals_before=before.intervals,
        intervals_after=after.intervals,
        comparison=None if pair is None else compare(pair.first, pair.second),
        not_compared=why,
        per_class=_per_class(before.test or before.validation, after.test or after.validation),
        slices=_slices(before, after),
        predictions=None if pair is None else _predictions(pair, texts, examples),
        serve_before=before.serve,
        serve_after=after.serve,
        bytes_before=_size(before),
        bytes_after=_size(after),
    )


def _settings(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[SettingDiff]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield SettingDiff(name=name, before=before.get(name), after=after.get(name))


def _data(before: Manifest, after: Manifest) -> DataDiff:
    return DataDiff(
        same=before.dataset.sha256 == after.dataset.sha256,
        before=before.dataset,
        after=after.dataset,
        labels_added=[label for label in after.labels if label not in before.labels],
        labels_removed=[label for label in before.labels if label not in after.labels],
    )


def _metrics(before: Manifest, after: Manifest) -> Iterator[MetricDiff]:
    old, new = _scores(before), _scores(after)
    for name in dict.fromkeys([*old, *new]):
        one, other = old.get(name), new.get(name)
        difference = None if one is None or other is None else other - one
        yield MetricDiff(name=name, before=one, after=other, difference=difference)


def _scores(manifest: Manifest) -> dict[str, float]:
    judged = (evaluation for evaluation in (manifest.validation, manifest.test) if evaluation is not None)
    return {
        f"{evaluation.split}/{name}": value
        for evaluation in judged
        for name, value in evaluation.model_dump(exclude=_NOT_SCORES).items()
        if isinstance(value, float)
    }


def _per_class(before: Evaluation | None, after: Evaluation | None) -> list[ClassDiff]:
    old = {scores.label: scores for scores in before.per_class} if before else {}
    new = {scores.label: scores for scores in after.per_class} if after else {}
    found = [_class(label, old.get(label), new.get(label)) for label in dict.fromkeys([*old, *new])]
    return sorted(found, key=lambda each: 0.0 if each.difference is None else each.difference)


def _slices(before: Manifest, after: Manifest) -> list[SliceDiff]:
    old, new = ({scores.slice: scores for scores in manifest.slices} for manifest in (before, after))
    found = [_slice(name, old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new])]
    return sorted(found, key=lambda each: 0.0 if each.difference is None else each.difference)


def _slice(name: str, one: SliceScores | None, other: SliceScores | None) -> SliceDiff:
    return SliceDiff(
        slice=name,
        rows_before=one and one.rows,
        rows_after=other and other.rows,
        accuracy_before=one and one.accuracy,
        accuracy_after=other and other.accuracy,
        f1_before=one and one.f1_macro,
        f1_after=other and other.f1_macro,
        difference=other.f1_macro - one.f1_macro if one and other else None,
    )


def _class(label: str, one: ClassScores | None, other: ClassScores | None) -> ClassDiff:
    return ClassDiff(
        label=label,
        f1_before=one and one.f1,
        f1_after=other and other.f1,
        difference=other.f1 - one.f1 if one and other else None,
        precision_before=one and one.precision,
        precision_after=other and other.precision,
        recall_before=one and one.recall,
        recall_after=other and other.recall,
    )


def _predictions(pair: Pair, texts: Texts, examples: int) -> PredictionDiff:
    now, before = pair.first.right, pair.second.right
    same = np.equal(pair.first.given, pair.second.given)
    unlike = ~(same.all(axis=1) if pair.first.several else same)
    found: dict[ChangeKind, NDArray[np.int64]] = {
        "broken": np.flatnonzero(before & ~now),
        "fixed": np.flatnonzero(now & ~before),
        "other": np.flatnonzero(unlike & ~now & ~before),
    }
    shown = [(kind, int(row)) for kind, rows in found.items() for row in rows][:examples]
    places = {row: int(pair.places[row]) for _, row in shown}
    known = texts(pair.first.split, set(places.values())) if shown else {}
    return PredictionDiff(
        rows=len(pair),
        same_rows=pair.complete,
        fixed=len(found["fixed"]),
        broken=len(found["broken"]),
        other=len(found["other"]),
        examples=[_changed(pair, kind, row, places[row], known.get(places[row])) for kind, row in shown],
    )


def _changed(pair: Pair, kind: ChangeKind, row: int, place: int, text: str | None) -> ChangedPrediction:
    label, after = pair.first.named(row)
    return ChangedPrediction(
        row=place,
        text=None if text is None else excerpt(text),
        label=label,
        before=pair.second.named(row)[1],
        after=after,
        kind=kind,
    )


def _size(manifest: Manifest) -> int:
    return sum(entry.bytes for entry in manifest.files.values())
