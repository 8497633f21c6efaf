"""Drift and intervals against values worked out by hand, and against what SciPy gives."""

import math

import pytest
from scipy import spatial

from app.schemas.histograms import TOKEN_EDGES, confidence_bin, token_bin
from app.significance.drift import by_chance, jensen_shannon, judge, stability_index
from app.significance.wilson import wilson


def test_the_stability_index_is_that_of_the_formula() -> None:
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)
    assert stability_index([50, 50], [6, 4]) == pytest.approx(0.1 * math.log(1.2) - 0.1 * math.log(0.8))
    assert stability_index([50, 50], [6, 4]) == pytest.approx(0.0405465, abs=1e-7)
    assert stability_index([3, 5, 2], [30, 50, 20]) == pytest.approx(0)
    # Empty on one side counts for a share of 0.0001; empty on both for nothing.
    wholly = 2 * (1 - 1e-4) * math.log(1e4)
    assert stability_index([10, 0, 0], [0, 10, 0]) == pytest.approx(wholly)


def test_the_jensen_shannon_distance_is_that_of_scipy() -> None:
    assert jensen_shannon([1, 0], [0, 1]) == pytest.approx(1)
    assert jensen_shannon([1, 2, 3], [2, 4, 6]) == pytest.approx(0)
    # The first as worked out by hand: the root of (log2(4/3) + (log2(2/3) + 1) / 2) / 2.
    assert jensen_shannon([1, 0, 0], [1, 1, 0]) == pytest.approx(0.5579230452841438)
    distance = spatial.distance.jensenshannon
    assert jensen_shannon([10, 20, 70], [30, 30, 40]) == pytest.approx(distance([0.1, 0.2, 0.7], [0.3, 0.3, 0.4], 2))


def test_the_conventional_thresholds_and_too_few_texts() -> None:
    assert [judge(index, 0.01) for index in (0.0999, 0.1, 0.2499, 0.25)] == ["stable", "moderate", "moderate", "large"]
    assert judge(3.0, 0.1) == "too-few-texts"
    assert by_chance([50, 50, 0], [20, 30, 0]) == pytest.approx(1 / 100 + 1 / 50)


def test_wilsons_interval() -> None:
    # Worked out for 8 of 10: (0.8 + z²/20 ± z sqrt(0.016 + z²/400)) / (1 + z²/10)
    found = wilson(8, 10)
    assert (found.low, found.high) == (pytest.approx(0.49016, abs=1e-5), pytest.approx(0.94332, abs=1e-5))
    assert wilson(0, 5).low == 0 and wilson(5, 5).high == 1
    assert wilson(5, 5).low == pytest.approx(0.56552, abs=1e-5)


def test_bins() -> None:
    assert [confidence_bin(score) for score in (0.0, 0.0999, 0.1, 0.95, 1.0)] == [0, 0, 1, 9, 9]
    assert [token_bin(tokens) for tokens in (2, 7, 8, 4095, 4096, 99_999)] == [0, 0, 1, 9, 10, 10]
    assert len(TOKEN_EDGES) == 10
