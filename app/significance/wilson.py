"""The Wilson score interval: where a share lies that was counted on few or many."""

import math

from app.schemas.judgements import Interval

Z_95 = 1.959963984540054


def wilson(right: int, total: int) -> Interval:
    """Give the 95 % interval of a share; the total is at least 1."""
    share, square = right / total, Z_95 * Z_95
    middle = share + square / (2 * total)
    half = Z_95 * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    whole = 1 + square / total
    return Interval(low=max(0.0, (middle - half) / whole), high=min(1.0, (middle + half) / whole))
