"""How sure a score is, in words: intervals, and how a version compares with simple models."""

from app.artifacts.bundle import Manifest
from app.reports.wording import count, percent, score
from app.schemas.judgements import Baseline, Intervals, PairedComparison
from app.schemas.reports import Certainty

_NAMES = {
    "majority": "always answering the commonest label",
    "tfidf-logistic-regression": "TF-IDF + logistic regression",
}


def certainty_section(manifest: Manifest | None) -> Certainty:
    """Say how far the scores of a version can be trusted; nothing without one."""
    if manifest is None:
        return Certainty()
    sentences = [certainty(manifest.intervals), *(versus(baseline) for baseline in manifest.baselines)]
    return Certainty(
        intervals=manifest.intervals,
        baselines=manifest.baselines,
        slices=manifest.slices,
        sentences=[sentence for sentence in sentences if sentence],
    )


def certainty(intervals: Intervals | None) -> str | None:
    """Say what another draw of rows might have given."""
    if intervals is None:
        return None
    accuracy, f1 = intervals.accuracy, intervals.f1_macro
    return (
        f"With 95 % confidence, accuracy on the {intervals.split} rows lies between {percent(accuracy.low)} and "
        f"{percent(accuracy.high)}, macro F1 between {score(f1.low)} and {score(f1.high)} "
        f"(bootstrap over {count(intervals.rows)} rows)."
    )


def versus(baseline: Baseline) -> str:
    """Say whether the version beats a baseline, and whether that is more than luck."""
    name = _NAMES[baseline.name]
    note = f" ({baseline.note})" if baseline.note else ""
    found = baseline.comparison
    if found is None:
        return f"There is no comparison with {name}{note}."
    reached = f"which reaches macro F1 {score(baseline.f1_macro)} and accuracy {percent(baseline.accuracy)}"
    return f"{_outcome(found, name)}, {reached} on the same rows{note}."


def _outcome(found: PairedComparison, name: str) -> str:
    points = f"{abs(found.f1_macro_difference):.3f} macro F1"
    counts = f"{count(found.better)} texts better, {count(found.worse)} worse, p = {found.p_value:.2g}"
    match found.f1_macro_verdict:
        case "better":
            return f"It beats {name} by {points} ({counts})"
        case "worse":
            return f"It is worse than {name} by {points} ({counts})"
        case _:
            direction = "above" if found.f1_macro_difference >= 0 else "below"
            return f"It is {points} {direction} {name}, inside noise ({counts})"
