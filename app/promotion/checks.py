"""The checks of a promotion policy: each gives what was found, what was needed, and a sentence."""

from collections.abc import Iterator
from typing import Literal

from app.artifacts.bundle import Manifest
from app.artifacts.store import ArtifactStore
from app.promotion import slice_floors
from app.promotion.answers import Incomparable, Kept, paired
from app.schemas.judgements import Interval, PairedComparison, Verdict
from app.schemas.metrics import Evaluation
from app.schemas.models import ExportVerdict
from app.schemas.promotions import (
    BeatsBaseline,
    Check,
    ClassFloor,
    LatencyBudget,
    MetricFloor,
    NotWorse,
    PromotionPolicy,
)
from app.significance.judging import Pair, compare


def run(policy: PromotionPolicy, candidate: Kept, holder: Kept | None, artifacts: ArtifactStore) -> list[Check]:
    """Check a version against a policy; ``holder`` is what the alias names now. Raises Unavailable."""
    return list(_checks(policy, candidate, holder, artifacts))


def _checks(policy: PromotionPolicy, candidate: Kept, holder: Kept | None, artifacts: ArtifactStore) -> Iterator[Check]:
    manifest = candidate.manifest
    for floor in policy.floors:
        yield _floor(floor, manifest)
    for class_floor in policy.class_floors:
        yield _class_floor(class_floor, manifest)
    for slice_floor in policy.slice_floors:
        yield from slice_floors.checks(slice_floor, manifest)
    if policy.not_worse_than_current is not None:
        yield _not_worse(policy.not_worse_than_current, candidate, holder, artifacts)
    if policy.beats_baseline is not None:
        yield _beats(policy.beats_baseline, manifest)
    if policy.export_verified:
        yield _verified(manifest)
    if policy.latency is not None:
        yield _fast_enough(policy.latency, manifest)


def _floor(floor: MetricFloor, manifest: Manifest) -> Check:
    judged = _judged(manifest, floor.split)
    value = None if judged is None else getattr(judged, floor.metric)
    if judged is None or value is None:
        why = _not_judged(floor.split) if judged is None else f"{floor.metric} was not measured"
        return Check(name="metric-floor", passed=False, actual=None, needed=floor.at_least, detail=f"{why}.")
    return _reached("metric-floor", f"{floor.metric} on the {floor.split} rows", float(value), floor.at_least)


def _class_floor(floor: ClassFloor, manifest: Manifest) -> Check:
    judged = _judged(manifest, floor.split)
    scores = next((each for each in judged.per_class if each.label == floor.label), None) if judged else None
    if scores is None:
        why = _not_judged(floor.split) if judged is None else f"there is no label {floor.label!r}"
        return Check(name="class-floor", passed=False, actual=None, needed=floor.at_least, detail=f"{why}.")
    value = float(getattr(scores, floor.metric))
    return _reached(
        "class-floor",
        f"{floor.metric} of {floor.label!r} on {scores.support} {floor.split} rows",
        value,
        floor.at_least,
    )


def _reached(name: Literal["metric-floor", "class-floor"], what: str, value: float, least: float) -> Check:
    passed = value >= least
    words = "at least" if passed else "less than"
    return Check(
        name=name, passed=passed, actual=value, needed=least, detail=f"{what} is {value:.4g}, {words} {least:g}."
    )


def _judged(manifest: Manifest, split: str) -> Evaluation | None:
    return manifest.test if split == "test" else manifest.validation


def _not_judged(split: str) -> str:
    return f"the version was never judged on {split} rows"


def _not_worse(wish: NotWorse, candidate: Kept, holder: Kept | None, artifacts: ArtifactStore) -> Check:
    if holder is None:
        return _compared(wish, passed=True, detail="nothing holds the alias yet, so there is nothing to be worse than.")
    try:
        pair = paired(artifacts, candidate, holder)
    except Incomparable as error:
        allowed = wish.if_incomparable == "allow"
        rule = "if_incomparable is allow" if allowed else "if_incomparable is block"
        detail = f"it cannot be compared with version {holder.number}: {error}; {rule}."
        return _compared(wish, passed=allowed, detail=detail)
    return judge_pair(wish, pair, holder.number)


def judge_pair(wish: NotWorse, pair: Pair, holder: int) -> Check:
    """Decide by the rows that both versions have answered whether the first is worse than the second, the holder."""
    found = compare(pair.first, pair.second)
    difference, interval, verdict = _of_metric(wish, found)
    if wish.certain:
        passed = interval is not None and interval.low >= -wish.max_drop
    else:
        passed = verdict != "worse" or difference >= -wish.max_drop
    return _compared(
        wish, passed=passed, detail=_sentence(wish, found, pair, holder, passed=passed), actual=difference, found=found
    )


def _compared(
    wish: NotWorse, *, passed: bool, detail: str, actual: float | None = None, found: PairedComparison | None = None
) -> Check:
    return Check(
        name="not-worse-than-current",
        passed=passed,
        actual=actual,
        needed=-wish.max_drop,
        detail=detail,
        comparison=found,
    )


def _of_metric(wish: NotWorse, found: PairedComparison) -> tuple[float, Interval | None, Verdict]:
    if wish.metric == "accuracy":
        return found.accuracy_difference, found.accuracy_interval, found.accuracy_verdict
    return found.f1_macro_difference, found.f1_macro_interval, found.f1_macro_verdict


def _sentence(wish: NotWorse, found: PairedComparison, pair: Pair, holder: int, *, passed: bool) -> str:
    """Say it as a person would: inside noise, 3 texts better, 5 worse, p = 0.73."""
    difference, interval, verdict = _of_metric(wish, found)
    counts = f"{found.better} texts better, {found.worse} worse, p = {found.p_value:.2g}"
    rows = f"the same {found.rows} rows" if pair.complete else f"the {found.rows} rows that both were judged on"
    span = "" if interval is None else f", 95 % interval {interval.low:+.4f} to {interval.high:+.4f}"
    said = {"better": "better", "worse": "worse", "inside-noise": "inside noise"}[verdict]
    words = f"{said}: {counts}; {wish.metric} {difference:+.4f}{span}, against version {holder} on {rows}"
    if wish.certain and not passed:
        return f"{words}; that does not rule out a loss of more than {wish.max_drop:g}."
    if verdict == "worse" and wish.max_drop:
        return f"{words}; a loss of up to {wish.max_drop:g} is accepted."
    return f"{words}."


def _beats(wish: BeatsBaseline, manifest: Manifest) -> Check:
    baseline = next((each for each in manifest.baselines if each.name == wish.baseline), None)
    found = None if baseline is None else baseline.comparison
    if found is None:
        why = "the version was made without it" if baseline is None else baseline.note or "it was left out"
        return Check(
            name="beats-baseline",
            passed=False,
            actual=None,
            needed=wish.margin,
            detail=f"there is no comparison with {wish.baseline}: {why}.",
        )
    enough = found.f1_macro_difference >= wish.margin
    passed = enough and (not wish.beyond_noise or found.f1_macro_verdict == "better")
    interval = found.f1_macro_interval
    noise = ", inside noise" if found.f1_macro_verdict == "inside-noise" else ""
    return Check(
        name="beats-baseline",
        passed=passed,
        actual=found.f1_macro_difference,
        needed=wish.margin,
        detail=f"macro F1 is {found.f1_macro_difference:+.4f} against {wish.baseline}{noise} (95 % interval "
        f"{interval.low:+.4f} to {interval.high:+.4f}, {found.rows} rows).",
        comparison=found,
    )


def _verified(manifest: Manifest) -> Check:
    verdict = _served(manifest)
    if verdict is None:
        detail = f"{manifest.serve}, which answers predictions, was not compared with the trained model."
        return Check(name="export-verified", passed=False, actual=None, needed=None, detail=detail)
    agreement = "" if verdict.label_agreement is None else f": {verdict.label_agreement:.1%} of the labels agree"
    found = f"on {verdict.rows} rows{agreement}" if verdict.passed else f"and refused: {verdict.reason}"
    return Check(
        name="export-verified",
        passed=verdict.passed and verdict.rows > 0,
        actual=verdict.label_agreement,
        needed=None,
        detail=f"{manifest.serve}, which answers predictions, was compared with the trained model {found}.",
    )


def _fast_enough(budget: LatencyBudget, manifest: Manifest) -> Check:
    verdict = _served(manifest)
    latency = None if verdict is None else verdict.latency
    took = None if latency is None else latency.batch_1_ms if budget.batch == 1 else latency.batch_32_ms
    what = "one text" if budget.batch == 1 else "each of 32 texts"
    if took is None:
        detail = f"nothing was measured of {manifest.serve} for {what}."
        return Check(name="latency", passed=False, actual=None, needed=budget.ms_per_text, detail=detail)
    passed = took <= budget.ms_per_text
    return Check(
        name="latency",
        passed=passed,
        actual=took,
        needed=budget.ms_per_text,
        detail=f"{manifest.serve} took {took:g} ms for {what} on one thread of the worker, "
        f"{'at most' if passed else 'more than'} {budget.ms_per_text:g} ms.",
    )


def _served(manifest: Manifest) -> ExportVerdict | None:
    return next((verdict for verdict in manifest.exports if verdict.format == manifest.serve), None)
