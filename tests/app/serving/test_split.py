"""Who falls to a canary: the same callers each time, more of them at a higher percentage, as many as it says."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.schemas.traffic import Canary
from app.serving.split import falls_to, place

PERCENT = st.floats(min_value=0.001, max_value=100)


def falls(percent: float, key: str | None, model: str = "mood", alias: str = "champion") -> bool:
    return falls_to(Canary(version=2, percent=percent), model, alias, key)


@settings(max_examples=50)
@given(key=st.text(min_size=1, max_size=200), lower=PERCENT, higher=PERCENT)
def test_a_higher_percentage_only_moves_callers_towards_the_canary(key: str, lower: float, higher: float) -> None:
    lower, higher = sorted((lower, higher))
    assert falls(lower, key) <= falls(higher, key)
    assert falls(lower, key) == falls(lower, key)
    assert falls(100, key) and 0 <= place("mood", "champion", key) < 100


def test_a_key_has_its_place_for_ever() -> None:
    """Every process of every release puts a caller there: to change the hash would move all callers at once."""
    assert place("mood", "champion", "account-4711") == 52.98027879436079


def test_the_canary_gets_its_share_with_keys_and_without() -> None:
    keys = [f"account-{number}" for number in range(20_000)]
    for percent in (1, 10, 50):
        for callers in (keys, [None] * len(keys)):
            share = 100 * sum(falls(percent, key) for key in callers) / len(callers)
            assert abs(share - percent) < 4 * (percent * (100 - percent) / len(callers)) ** 0.5, percent


def test_each_alias_draws_its_callers_anew() -> None:
    keys = [f"account-{number}" for number in range(2000)]
    first = {key for key in keys if falls(10, key)}
    for other in ({"alias": "stable"}, {"model": "topic"}):
        both = {key for key in keys if falls(10, key, **other)} & first
        assert len(both) < 45, "a tenth of a tenth: the same callers are not tried on again and again"
