"""Floors on slices: what a version must reach on parts of the rows it was judged on, if there are enough of them."""

from collections.abc import Iterator

from app.artifacts.bundle import Manifest
from app.schemas.judgements import SliceScores
from app.schemas.promotions import Check, SliceFloor

EACH = "*"


def checks(floor: SliceFloor, manifest: Manifest) -> Iterator[Check]:
    """Check every slice that a floor is about; one check where there is none."""
    column, _, value = floor.slice.partition("=")
    found = [
        scores
        for scores in manifest.slices
        if scores.slice == floor.slice or (value == EACH and scores.slice.startswith(f"{column}="))
    ]
    if not found:
        yield _missing(floor, manifest)
    for scores in found:
        yield _judge(floor, scores)


def _judge(floor: SliceFloor, scores: SliceScores) -> Check:
    value = scores.accuracy if floor.metric == "accuracy" else scores.f1_macro
    span = scores.accuracy_interval if floor.metric == "accuracy" else scores.f1_macro_interval
    reached = value >= floor.at_least
    words = "at least" if reached else "less than"
    detail = (
        f"{floor.metric} on {scores.slice}, {scores.rows} {scores.split} rows, is {value:.4g}, {words} "
        f"{floor.at_least:g} (95 % interval {span.low:.4f} to {span.high:.4f})"
    )
    too_few = scores.rows < floor.min_rows
    if too_few and not reached:
        detail += f"; fewer than {floor.min_rows} rows are too few to block for"
    return Check(
        name="slice-floor", passed=reached or too_few, actual=value, needed=floor.at_least, detail=f"{detail}."
    )


def _missing(floor: SliceFloor, manifest: Manifest) -> Check:
    known = ", ".join(scores.slice for scores in manifest.slices[:10])
    why = f"it has {known}" if known else "it has none at all"
    rule = "if_missing is allow" if floor.if_missing == "allow" else "if_missing is block"
    return Check(
        name="slice-floor",
        passed=floor.if_missing == "allow",
        actual=None,
        needed=floor.at_least,
        detail=f"the version was not judged on a slice {floor.slice}: {why}; {rule}.",
    )
