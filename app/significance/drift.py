"""How far two distributions are apart: the population stability index and the Jensen-Shannon distance."""

import math
from collections.abc import Sequence
from typing import Literal

Verdict = Literal["stable", "moderate", "large", "too-few-texts"]

MODERATE, LARGE = 0.1, 0.25
"""The conventional thresholds of the population stability index."""
LEAST_SHARE = 1e-4
"""What an empty bin counts for in the index, which is infinite otherwise."""


def stability_index(reference: Sequence[int], now: Sequence[int]) -> float:
    """Give the population stability index, in natural logarithms: the sum of (q - p) ln(q / p) over the bins.

    A bin that is empty on one side counts for a share of 0.0001 there; one that is empty on both counts for nothing.
    """
    pairs = [pair for pair in _shares(reference, now) if pair != (0.0, 0.0)]
    bounded = [(max(p, LEAST_SHARE), max(q, LEAST_SHARE)) for p, q in pairs]
    return math.fsum((q - p) * math.log(q / p) for p, q in bounded)


def jensen_shannon(reference: Sequence[int], now: Sequence[int]) -> float:
    """Give the Jensen-Shannon distance to the base 2: 0 for equal distributions, 1 for those without a common bin."""
    divergence = math.fsum(
        share * math.log2(share / ((p + q) / 2)) / 2
        for p, q in _shares(reference, now)
        for share in (p, q)
        if share > 0
    )
    return math.sqrt(max(0.0, divergence))


def by_chance(reference: Sequence[int], now: Sequence[int]) -> float:
    """Give the stability index to be expected of two samples of these sizes from one and the same population."""
    bins = sum(1 for p, q in zip(reference, now, strict=True) if p or q)
    return (bins - 1) * (1 / sum(reference) + 1 / sum(now))


def judge(index: float, expected: float) -> Verdict:
    """Say what an index means; where chance alone would give as much as counts for a change, nothing."""
    if expected >= MODERATE:
        return "too-few-texts"
    if index < MODERATE:
        return "stable"
    return "moderate" if index < LARGE else "large"


def _shares(reference: Sequence[int], now: Sequence[int]) -> list[tuple[float, float]]:
    first, second = sum(reference), sum(now)
    return [(p / first, q / second) for p, q in zip(reference, now, strict=True)]
