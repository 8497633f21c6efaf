"""Calibration: the definitions, and a temperature that is found again."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax
from sklearn.metrics import log_loss

from worker.evaluation import calibration
from worker.evaluation.calibration import COLDEST, HOTTEST, fit_temperature, measure

RANDOM = np.random.default_rng(5)


def drawn(rows: int, labels: int = 3, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits, and labels by the probabilities that they mean."""
    logits = RANDOM.normal(0, scale, (rows, labels)).astype(np.float32)
    chances = softmax(logits.astype(float), axis=1).cumsum(axis=1)
    return logits, (RANDOM.random((rows, 1)) > chances).sum(axis=1).clip(0, labels - 1)


def drawn_sets(rows: int, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    logits = RANDOM.normal(-1, scale, (rows, 3)).astype(np.float32)
    return logits, RANDOM.random((rows, 3)) < expit(logits.astype(float))


def test_the_error_is_the_distance_of_sureness_and_truth_weighed_by_answers() -> None:
    """Four answers of 0.9 of which three are right, one of 0.58 that is right: (4 * 0.15 + 1 * 0.42) / 5."""
    logits = np.log(np.array([[0.9, 0.1]] * 4 + [[0.58, 0.42]])).astype(np.float32)
    found = measure(logits, np.array([0, 0, 0, 1, 0]))
    assert found.ece == pytest.approx((4 * 0.15 + 0.42) / 5, abs=1e-6)
    assert [(each.count, each.accuracy) for each in found.bins] == [(1, 1.0), (4, 0.75)]
    assert [each.confidence for each in found.bins] == pytest.approx([0.58, 0.9])
    assert [each.start for each in found.bins] == pytest.approx([8 / 15, 13 / 15])


def test_a_bin_takes_in_its_upper_end() -> None:
    found = measure(np.zeros((1, 3), np.float32), np.array([0]))  # a third: the upper end of the fifth of 15 bins
    assert [each.start for each in found.bins] == [pytest.approx(4 / 15)]


def test_loss_and_brier_score_are_those_of_the_books() -> None:
    logits, truth = drawn(400)
    found = measure(logits, truth, temperature=1.7)
    scores = softmax(logits.astype(float) / 1.7, axis=1)
    assert found.nll == pytest.approx(log_loss(truth, scores))
    assert found.brier == pytest.approx(((scores - np.eye(3)[truth]) ** 2).sum(axis=1).mean())


def test_of_sets_every_label_of_every_row_counts() -> None:
    logits, truth = drawn_sets(400)
    found = measure(logits, truth)
    scores = expit(logits.astype(float))
    assert sum(each.count for each in found.bins) == 1200
    assert found.brier == pytest.approx(((scores - truth) ** 2).mean())
    assert found.nll == pytest.approx(-np.where(truth, np.log(scores), np.log1p(-scores)).mean())
    assert found.ece < 0.05


def test_what_is_calibrated_has_hardly_an_error_and_needs_no_temperature() -> None:
    logits, truth = drawn(20_000)
    assert measure(logits, truth).ece < 0.015
    assert fit_temperature(logits, truth) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("temperature", [0.3, 2.5, 6.0])
@pytest.mark.parametrize("draw", [drawn, drawn_sets])
def test_a_temperature_is_found_again_and_mends_the_error(temperature: float, draw) -> None:  # type: ignore[no-untyped-def]
    logits, truth = draw(5_000)
    distorted = logits * np.float32(temperature)
    found = fit_temperature(distorted, truth)
    assert found == pytest.approx(temperature, rel=0.1)
    before, after = measure(distorted, truth), measure(distorted, truth, found)
    assert after.ece < before.ece / 2
    assert after.nll < before.nll
    assert after.brier < before.brier


def test_the_fit_is_the_minimum() -> None:
    logits, truth = drawn(3_000)
    logits = logits * np.float32(3)
    found = fit_temperature(logits, truth)

    def loss(temperature: float) -> float:
        return -float(log_softmax(logits.astype(float) / temperature, axis=1)[np.arange(len(truth)), truth].mean())

    assert loss(found) <= min(loss(t) for t in np.linspace(0.5, 10, 400)) + 1e-4


def test_a_few_rows_that_are_all_right_do_not_make_it_icy() -> None:
    logits = np.where(np.eye(2, dtype=bool)[np.arange(100) % 2], 2.0, -2.0).astype(np.float32)
    found = fit_temperature(logits, np.arange(100) % 2)
    assert 0.3 < found < 1.0


@pytest.mark.parametrize("logits", [np.zeros((200, 3)), np.full((200, 3), 1e4), RANDOM.normal(0, 1e4, (200, 3))])
def test_any_logits_have_a_temperature(logits: np.ndarray) -> None:
    found = fit_temperature(logits.astype(np.float32), np.arange(200) % 3)
    assert COLDEST <= found <= HOTTEST
    assert np.isfinite(measure(logits.astype(np.float32), np.arange(200) % 3, found).nll)


def test_of_very_many_logits_some_rows_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, truth = drawn(4_000, labels=20, scale=4.0)
    monkeypatch.setattr(calibration, "MOST_LOGITS", 20_000)
    assert fit_temperature(logits * np.float32(2), truth) == pytest.approx(2.0, rel=0.15)
