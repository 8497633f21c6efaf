"""How batches are chosen from what was measured, and that measuring ends in time."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from app.serving.policy import SHAPES, UNEVEN, choose, measure
from app.serving.predictor import Predictor
from tests.app.serving.tiny import write_bundle

ITEMS, LENGTHS = (1, 2, 4, 8), (16, 32, 64)
GRID = [(items, length) for items in ITEMS for length in LENGTHS]


def test_where_batches_save_nothing_texts_go_alone() -> None:
    policy = choose({(items, length): items * length / 1000 for items, length in GRID})
    assert policy.items == 1
    assert policy.tokens_per_second == pytest.approx(1000)


def test_where_a_pass_has_a_price_of_its_own_batches_are_as_large_as_can_be() -> None:
    policy = choose(dict.fromkeys(GRID, 0.01))
    assert (policy.items, policy.tokens) == (8, 8 * 64)


def test_what_is_slower_in_large_batches_gets_small_ones() -> None:
    """Up to 64 tokens a pass costs as much whatever is in it; from there on each token costs more than before."""
    seconds = {(n, length): 0.01 if n * length <= 64 else 0.01 * (n * length / 64) ** 1.3 for n, length in GRID}
    policy = choose(seconds)
    assert (policy.items, policy.tokens) == (4, 64)


def test_three_percent_are_not_worth_a_larger_batch() -> None:
    speeds = {1: 80, 2: 98, 4: 99, 8: 100}
    policy = choose({(items, length): items * length / speeds[items] for items, length in GRID})
    assert (policy.items, policy.tokens) == (2, 2 * 64)


def test_what_a_call_costs_beside_its_tokens_is_measured() -> None:
    policy = choose({(items, length): 0.004 + 0.0002 * items * length for items, length in GRID})
    assert policy.call_tokens == pytest.approx(20)
    assert choose({(1, 16): 0.01}).call_tokens == 0.0


def test_what_padding_costs_is_measured() -> None:
    """A batch of texts as long as UNEVEN lies between one of its tokens and one of its rectangle."""
    even = {(items, length): 0.004 + 0.0002 * items * length for items, length in GRID}
    tokens, padded = sum(UNEVEN), len(UNEVEN) * max(UNEVEN)
    for price in (0.0, 0.25, 1.0):
        computed = tokens + price * (padded - tokens)
        policy = choose(even, 0.004 + 0.0002 * computed)
        assert policy.padding_price == pytest.approx(price)
        assert policy.computed(tokens, padded) == pytest.approx(computed)
    assert choose(even).padding_price == 1.0


class Clockwork:
    """A version that takes a known time, on a clock of its own."""

    def __init__(self, seconds_a_token: float, *, pads: bool = True) -> None:
        self.encoder = SimpleNamespace(settings=SimpleNamespace(max_length=512, pad_token_id=0))
        self.now = 0.0
        self._seconds_a_token = seconds_a_token
        self._pads = pads

    def logits(self, ids: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Let the time pass that a batch takes."""
        lengths = [len(row) for row in ids]
        self.now += self._seconds_a_token * (len(lengths) * max(lengths) if self._pads else sum(lengths))
        return np.zeros((len(ids), 2), np.float32)


@pytest.mark.parametrize("seconds_a_token", [1e-4, 1e-3, 9e-3])
def test_measuring_takes_no_longer_than_it_may(seconds_a_token: float) -> None:
    slow = Clockwork(seconds_a_token)
    policy = measure(slow, seconds=0.3, clock=lambda: slow.now)
    assert slow.now <= 0.3
    assert policy.tokens_per_second == pytest.approx(1 / seconds_a_token, rel=0.2)
    tried = {(trial.items, trial.length) for trial in policy.trials}
    assert tried <= set(SHAPES) and (1, 32) in tried
    assert len(tried) == len(SHAPES) or seconds_a_token >= 1e-3


@pytest.mark.parametrize("pads", [True, False])
def test_what_padding_costs_is_known_of_slow_models_too(pads: bool) -> None:
    slow = Clockwork(1.5e-3, pads=pads)
    policy = measure(slow, seconds=0.3, clock=lambda: slow.now)
    assert policy.padding_price == pytest.approx(float(pads), abs=0.05)
    assert slow.now <= 0.3


def test_a_real_version_is_measured_in_every_shape(tmp_path: Path) -> None:
    policy = measure(Predictor.load(write_bundle(tmp_path / "bundle")), seconds=5)
    assert {(trial.items, trial.length) for trial in policy.trials} == {(items, 16) for items in ITEMS}
    assert policy.items in ITEMS
    assert policy.tokens_per_second > 0
