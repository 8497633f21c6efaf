"""Runs that leave a GPU alone."""

from collections.abc import Callable

from app.doctor.diagnosis import diagnose
from app.doctor.facts import Facts
from app.schemas.diagnoses import Diagnosis

Examine = Callable[..., dict[str, Diagnosis]]
SPEED = "train/examples_per_second"


def test_a_gpu_that_nobody_uses(examine: Examine) -> None:
    found = examine({SPEED: [3.0, 3.5, 3.25]}, gpu_unused=True, device="CPU (AMD EPYC)")
    assert list(found) == ["gpu_unused"]
    assert "CPU (AMD EPYC), at 3.25 examples per second" in found["gpu_unused"].evidence
    assert [point.step for point in found["gpu_unused"].observations] == [300]


def test_before_the_first_step_it_is_known_too() -> None:
    assert [found.code for found in diagnose([], Facts(gpu_unused=True))] == ["gpu_unused"]


def test_where_there_is_no_gpu_none_is_missed(examine: Examine) -> None:
    assert examine({SPEED: [3.0, 3.5, 3.25]}, device="CPU (AMD EPYC)") == {}
