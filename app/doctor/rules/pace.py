"""Runs that slow down while they run: slow_training."""

from statistics import median

from app.doctor import advice
from app.doctor.case import THROUGHPUT, Case
from app.doctor.history import Point
from app.doctor.wording import number, percent
from app.schemas.diagnoses import Change, Diagnosis

FEWEST_POINTS = 7
KEPT = 0.6
"""Share of its early speed that a healthy run keeps; batches of unequal length explain the rest."""


def slow_training(case: Case) -> Diagnosis | None:
    """Find a throughput that fell for good; the first point is left out, for it pays for the start."""
    points = case.history.curve(THROUGHPUT).points[1:]
    if len(points) < FEWEST_POINTS - 1:
        return None
    third = len(points) // 3
    early, late = _usual(points[:third]), _usual(points[-third:])
    if early <= 0 or late > KEPT * early:
        return None
    return Diagnosis(
        code="slow_training",
        severity="warning",
        title="Training slowed down",
        evidence=f"Throughput fell from {number(early)} to {number(late)} examples per second "
        f"(to {percent(max(late, 0.0) / early)}) between steps {points[0].step} and {points[-1].step}.",
        observations=case.history.curve(THROUGHPUT).observe(points[0], points[-1]),
        cause="An example costs the same all the time, so something takes the machine away: another process on the "
        "device, memory that is being swapped, or a device that got too hot.",
        changes=_lighter(case),
    )


def _usual(points: tuple[Point, ...]) -> float:
    return median(point.value for point in points)


def _lighter(case: Case) -> list[Change]:
    facts, changes = case.facts, []
    if facts.hyperparameters.get("precision") == "fp32":
        changes += advice.change(facts, "precision", "auto", "16-bit arithmetic where the device is fast at it")
    if facts.hyperparameters.get("gradient_checkpointing") is True:
        changes += advice.change(
            facts, "gradient_checkpointing", False, "saves a second forward pass, if memory allows"
        )
    length = facts.number("max_length")
    if facts.hyperparameters.get("long_text") == "hierarchical":
        return changes  # shorter chunks would only be more of them
    if length is not None and 256 <= length <= 8192:
        changes += advice.change(facts, "max_length", int(length) // 2, "half the tokens take less than half the time")
    return changes
