"""The examination of a run: every rule looks at it, and the finding that explains others speaks for them."""

from collections.abc import Callable, Iterable

from app.doctor.case import Case
from app.doctor.facts import Facts
from app.doctor.history import History, Measured
from app.doctor.rules.balance import imbalanced
from app.doctor.rules.device import gpu_unused
from app.doctor.rules.fit import overfitting, underfitting
from app.doctor.rules.learning import not_learning, plateau, slow_convergence
from app.doctor.rules.pace import slow_training
from app.doctor.rules.stability import diverged, exploding, oscillating
from app.doctor.rules.stopping import early_stop_too_early, metric_at_first_epoch
from app.schemas.datasets import DatasetProfile
from app.schemas.diagnoses import Diagnosis, DiagnosisCode, Severity
from app.schemas.jobs import Job

Rule = Callable[[Case], Diagnosis | None]

RULES: dict[DiagnosisCode, Rule] = {
    "diverged": diverged,
    "exploding": exploding,
    "not_learning": not_learning,
    "slow_convergence": slow_convergence,
    "oscillating": oscillating,
    "overfitting": overfitting,
    "underfitting": underfitting,
    "plateau": plateau,
    "imbalanced": imbalanced,
    "metric_at_first_epoch": metric_at_first_epoch,
    "early_stop_too_early": early_stop_too_early,
    "slow_training": slow_training,
    "gpu_unused": gpu_unused,
}
URGENCY: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}

_STILL_TRUE_OF_A_BROKEN_RUN: frozenset[DiagnosisCode] = frozenset({"imbalanced", "slow_training", "gpu_unused"})
EXPLAINS: dict[DiagnosisCode, frozenset[DiagnosisCode]] = {
    "diverged": frozenset(RULES) - _STILL_TRUE_OF_A_BROKEN_RUN,
    "exploding": frozenset(RULES) - _STILL_TRUE_OF_A_BROKEN_RUN,
    "not_learning": frozenset({"slow_convergence", "underfitting", "plateau", "metric_at_first_epoch"}),
    "slow_convergence": frozenset({"underfitting", "plateau", "early_stop_too_early"}),
    "plateau": frozenset({"metric_at_first_epoch"}),
}
"""A finding and those that are its mere consequences; they are left out beside it."""


def diagnose(points: Iterable[Measured], facts: Facts | None = None) -> list[Diagnosis]:
    """Examine a metric history; the gravest finding first, none for a healthy run. Never raises."""
    case = Case(History(points), facts or Facts())
    found: list[Diagnosis] = []
    explained: set[DiagnosisCode] = set()
    for code, rule in RULES.items():
        diagnosis = None if code in explained else rule(case)
        if diagnosis is not None:
            found.append(diagnosis)
            explained |= EXPLAINS.get(code, frozenset()) - {code}
    return sorted(found, key=lambda diagnosis: URGENCY[diagnosis.severity])


def diagnose_job(job: Job, points: Iterable[Measured], profile: DatasetProfile | None = None) -> list[Diagnosis]:
    """Examine a job by its points and, where at hand, the profile of its dataset."""
    return diagnose(points, Facts.of(job, profile))
