"""McNemar's mid-p as scipy's binomial gives it; the bootstrap as its definition says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from app.significance import bootstrap
from app.significance.answers import Answers
from app.significance.judging import compare, f1_macro, intervals_of
from app.significance.mcnemar import mid_p

LABELS = ["a", "b", "c"]


@settings(max_examples=80, deadline=None)
@given(better=st.integers(0, 400), worse=st.integers(0, 400))
def test_mid_p_is_the_exact_binomial_less_half_of_what_was_seen(better: int, worse: int) -> None:
    rows = better + worse
    if better == worse:
        assert mid_p(better, worse) == 1.0
        return
    exact = stats.binomtest(better, rows, 0.5).pvalue
    assert mid_p(better, worse) == pytest.approx(exact - stats.binom.pmf(better, rows, 0.5), abs=1e-9)
    assert mid_p(better, worse) == mid_p(worse, better)


def test_mid_p_of_many_rows_is_that_of_the_normal_distribution() -> None:
    assert mid_p(500_000, 502_000) == pytest.approx(2 * stats.norm.sf(2000 / np.sqrt(1_002_000)), rel=1e-3)
    assert mid_p(0, 5000) == 0.0
    assert mid_p(3, 5) == pytest.approx(0.5078125)


def one_label(truth: np.ndarray, given: np.ndarray) -> Answers:
    keys = np.arange(len(truth), dtype=np.uint64)
    return Answers("test", LABELS, False, keys, truth, given, np.zeros((len(truth), 0), np.float16))


def draw(rows: int, right: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, rows)
    return truth, np.where(random.random(rows) < right, truth, random.integers(0, 3, rows))


@pytest.mark.parametrize("rows", [40, 3000])
def test_intervals_are_those_of_rows_drawn_anew(rows: int) -> None:
    """Against the plain definition: draw row numbers, score with scikit-learn, take percentiles."""
    truth, given = draw(rows, 0.7, 1)
    found = intervals_of(one_label(truth, given))
    random = np.random.default_rng(7)
    scores = []
    for _ in range(150):
        chosen = random.integers(0, rows, rows)
        accuracy = accuracy_score(truth[chosen], given[chosen])
        scores.append((accuracy, f1_score(truth[chosen], given[chosen], labels=[0, 1, 2], average="macro")))
    low, high = np.percentile(scores, [2.5, 97.5], axis=0)
    wide = 0.25 * (high - low).max()
    assert (found.accuracy.low, found.f1_macro.low) == pytest.approx(tuple(low), abs=wide)
    assert (found.accuracy.high, found.f1_macro.high) == pytest.approx(tuple(high), abs=wide)
    assert found == intervals_of(one_label(truth, given))


def test_of_60_intervals_about_57_hold_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coverage, with a model that is right in 80 % of all rows there are: 70 % by knowledge, a third of the rest."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 200)
    held = 0
    for seed in range(60):
        found = intervals_of(one_label(*draw(300, 0.7, seed)))
        held += found.accuracy.low <= 0.8 <= found.accuracy.high
    assert 51 <= held <= 60


def test_two_models_on_the_same_rows() -> None:
    truth, weak = draw(2000, 0.6, 2)
    strong = np.where(np.random.default_rng(3).random(2000) < 0.3, truth, weak)
    found = compare(one_label(truth, strong), one_label(truth, weak))
    assert (found.worse, found.accuracy_verdict, found.f1_macro_verdict) == (0, "better", "better")
    assert found.f1_macro_difference == pytest.approx(
        f1_score(truth, strong, average="macro") - f1_score(truth, weak, average="macro")
    )
    assert 0 < found.f1_macro_interval.low < found.f1_macro_difference < found.f1_macro_interval.high
    back = compare(one_label(truth, weak), one_label(truth, strong))
    assert (back.accuracy_verdict, back.f1_macro_verdict, back.better) == ("worse", "worse", 0)


def test_equal_models_rarely_seem_different(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models that are right equally often, independently: 5 % of the comparisons may claim a difference."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 50)
    claims = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        truth = random.integers(0, 3, 300)
        one, other = (np.where(random.random(300) < 0.8, truth, (truth + 1) % 3) for _ in range(2))
        claims += compare(one_label(truth, one), one_label(truth, other)).accuracy_verdict != "inside-noise"
    assert claims <= 9
    same = compare(one_label(truth, one), one_label(truth, one))
    assert (same.p_value, same.f1_macro_verdict, same.f1_macro_interval.high) == (1.0, "inside-noise", 0.0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_macro_f1_is_that_of_scikit_learn_for_sets_too(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth, given = random.random((30, 3)) < 0.4, random.random((30, 3)) < 0.4
    keys = np.arange(30, dtype=np.uint64)
    sets = Answers("test", LABELS, True, keys, truth, given, np.zeros((30, 0), np.float16))
    assert f1_macro(sets) == pytest.approx(f1_score(truth, given, average="macro", zero_division=0))
    assert sets.right.mean() == pytest.approx(accuracy_score(truth, given))
