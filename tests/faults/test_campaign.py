"""The short form of ``make faults``: a few seconds of everything at once, and the control that must fail."""

from collections.abc import Iterator

import pytest

from tests.faults import campaign, naive
from tests.faults.ground import Ground

pytestmark = pytest.mark.timeout(300)
SEED = 20_261_121
SECONDS = 6.0


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with Ground(postgres=False) as ground:
        yield ground


def test_a_scenario_keeps_its_promises(ground: Ground) -> None:
    [result] = campaign.run(ground, SEED, ["sqlite"], ["training process killed while it trains"])
    assert result.passed, (result.surprise, result.violations)


def test_no_promise_breaks_while_everything_fails_at_once(ground: Ground) -> None:
    result = campaign.rage(ground, SEED, "sqlite", SECONDS)
    assert result.surprise == ""
    assert result.violations == []
    assert result.jobs > 0
    assert result.injected.total() > 2


def test_the_same_checker_finds_the_naive_design_broken(ground: Ground) -> None:
    found = {(violation.rule, violation.detail) for violation in naive.control(ground.folder)}
    assert ("a", "stuck in queued") in found
    assert ("b", "succeeded with 2 versions") in found
