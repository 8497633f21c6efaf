"""What a model that knows nothing would reach, where rows have one label and where they have any number."""

import math

import pytest

from app.doctor.facts import Facts

COUNTS = {"late": 50, "rude": 10}


def binary(share: float) -> float:
    return -(share * math.log(share) + (1 - share) * math.log(1 - share))


def test_chance_with_label_sets_is_a_question_for_each_label() -> None:
    facts = Facts(label_counts=COUNTS, rows=100)
    assert facts.chance_loss == pytest.approx((binary(0.5) + binary(0.1)) / 2)
    assert Facts(label_counts=COUNTS).chance_loss == pytest.approx(binary(50 / 60))


def test_weights_move_the_chance_of_label_sets() -> None:
    """Balanced, a label that a tenth of the rows has counts nine times: the best constant is one half."""
    facts = Facts(hyperparameters={"class_weights": {"late": 1.0, "rude": 9.0}}, label_counts=COUNTS, rows=100)
    assert facts.chance_loss == pytest.approx((math.log(2) + 1.8 * math.log(2)) / 2)


def test_smoothed_label_sets_rest_above_zero() -> None:
    facts = Facts(hyperparameters={"label_smoothing_factor": 0.2}, label_counts=COUNTS, rows=100)
    assert facts.resting_loss == pytest.approx(binary(0.1))


def test_label_sets_have_no_baseline_that_counts_would_tell() -> None:
    assert Facts(label_counts=COUNTS, rows=100).baseline is None
    assert Facts(label_counts=COUNTS).baseline == pytest.approx(50 / 60)
