"""Runs that slow down while they run."""

from collections.abc import Callable

import pytest

from app.schemas.diagnoses import Diagnosis

Examine = Callable[..., dict[str, Diagnosis]]
SPEED = "train/examples_per_second"


def test_a_throughput_that_falls_for_good(examine: Examine) -> None:
    found = examine(
        {SPEED: [50, 320, 318, 322, 150, 120, 118, 121, 119]},
        every=10,
        hyperparameters={"max_length": 512, "gradient_checkpointing": True},
    )

    assert "from 319 to 120 examples per second" in found["slow_training"].evidence
    assert {change.field: change.to for change in found["slow_training"].changes} == {
        "precision": "auto",
        "gradient_checkpointing": False,
        "max_length": 256,
    }


@pytest.mark.parametrize(
    "speeds",
    [
        [50, 320, 318, 322, 321, 319, 318, 323, 320],  # only the start is slow
        [320, 318, 322, 100, 321, 319, 318, 120, 320],  # single hiccups
        [320, 300, 280, 260, 250, 245, 240, 238, 236],  # a little
        [320, 100, 100],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
    ],
)
def test_an_even_pace_is_not_slow(examine: Examine, speeds: list[float]) -> None:
    assert examine({SPEED: speeds}, every=10) == {}
