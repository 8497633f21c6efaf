"""How labels, confidence and lengths are spread over texts: small counts that tell whether texts have changed."""

from bisect import bisect_right

from app.schemas.base import Resource
from app.schemas.datasets import SplitName

CONFIDENCE_BINS = 10
"""Of equal width, from 0 to 1."""
TOKEN_EDGES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Each bin holds fewer tokens than its edge; one more bin holds the rest."""
NO_LABEL = ""
"""Stands for a text that was given none of several labels."""


class Histograms(Resource):
    """Counts of texts."""

    texts: int
    """How many there are."""
    labels: dict[str, int]
    """By label that was given; of multi_label each label of a set, and "" for an empty set."""
    confidence: list[int]
    """By the probability of the most probable label: ten bins of equal width from 0 to 1."""
    tokens: list[int]
    """By tokens, special tokens included, before truncation: fewer than 8, 16, 32, ... 4096, and the rest."""


class Reference(Histograms):
    """How a version answered the rows that it was judged on, for comparison with what it is asked later."""

    split: SplitName
    """Which rows: test, or validation where there are no test rows."""


def confidence_bin(score: float) -> int:
    """Tell the bin of a probability."""
    return min(CONFIDENCE_BINS - 1, max(0, int(score * CONFIDENCE_BINS)))


def token_bin(tokens: int) -> int:
    """Tell the bin of a length."""
    return bisect_right(TOKEN_EDGES, tokens)
