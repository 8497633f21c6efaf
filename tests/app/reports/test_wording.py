"""How numbers are written."""

import pytest

from app.reports import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (2.14, "2.1 s"),
        (44.2, "44 s"),
        (59.9, "60 s"),
        (192, "3 min 12 s"),
        (9000, "2 h 30 min"),
        (259200, "3.0 days"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (2e-5, "2e-5"), (1.0, "1"), (0.54421, "0.5442"), (12345, "12345"), (float("nan"), "nan")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "yes"),
        (False, "no"),
        ("cosine", "cosine"),
        (16, "16"),
        ({"a": 0.5, "b": 2}, "a: 0.5, b: 2"),
    ],
)
def test_settings(value: object, text: str) -> None:
    assert wording.setting(value) == text


def test_shares_counts_and_sizes() -> None:
    assert wording.percent(0.7654) == "76.5 %"
    assert wording.count(1234567) == "1,234,567"
    assert wording.score(0.5) == "0.500"
    assert wording.size(498_000_000) == "474.9 MiB"
    assert wording.size(2048) == "2.0 KiB"
