"""The assembly of a report from what the service knows of a job; pure, whatever of it is missing."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from app.artifacts.bundle import Manifest
from app.doctor.diagnosis import diagnose_job
from app.doctor.facts import has_label_sets
from app.doctor.history import History, Measured
from app.reports.certainty import certainty_section
from app.reports.curves import reported_curves
from app.reports.data import data_section
from app.reports.publication import publication
from app.reports.scores import score_sections
from app.reports.summary import summary, title
from app.reports.wording import setting
from app.schemas.datasets import DatasetProfile
from app.schemas.diagnoses import ChangeValue
from app.schemas.issues import DataIssues
from app.schemas.jobs import Job
from app.schemas.reports import Environment, Report, ReportedHyperparameter


def build_report(
    job: Job,
    points: Iterable[Measured],
    *,
    recorded: Mapping[str, int] | None = None,
    profile: DatasetProfile | None = None,
    manifest: Manifest | None = None,
    issues: DataIssues | None = None,
    now: datetime | None = None,
) -> Report:
    """Write down everything known of ``job``; works for a job in any status.

    ``recorded`` says how many points the curves have of which ``points`` are a part, by name.
    """
    measured = list(points)
    history = History(measured)
    data = data_section(job, profile, manifest)
    diagnoses = diagnose_job(job, measured, profile)
    epochs_run = history.last_epoch or job.progress.epoch or None
    error = job.error or {}
    return Report(
        title=title(job),
        summary=summary(job, data, diagnoses),
        generated_at=now or datetime.now(UTC),
        job_id=job.id,
        status=job.status,
        status_reason=job.status_reason,
        model=job.model,
        version=job.result.version if job.result else None,
        family=job.family,
        problem_type="multi_label" if has_label_sets(job.metrics.validation, profile) else "single_label",
        thresholds=_thresholds(manifest),
        base_model=job.base_model,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        stop_reason=job.stop_reason,
        error_code=error.get("code"),
        error_detail=error.get("detail"),
        error_remedy=error.get("remedy"),
        best=job.metrics.best,
        publication=publication(
            job, epochs_run=epochs_run, total_steps=job.progress.total_steps, manifest=manifest, profile=profile
        ),
        data=data,
        hyperparameters=_hyperparameters(job),
        curves=reported_curves(history, recorded or {}),
        scores=score_sections(job),
        certainty=certainty_section(manifest),
        exports=manifest.exports if manifest else [],
        diagnoses=diagnoses,
        issues=issues,
        inspection=job.inspection,
        environment=_environment(job, manifest),
        warnings=job.warnings,
        metadata=job.metadata,
    )


def _hyperparameters(job: Job) -> list[ReportedHyperparameter]:
    reasons = {resolution.field: resolution.reason for resolution in job.resolutions}
    return [
        ReportedHyperparameter(name=name, value=_value(value), reason=reasons.get(name))
        for name, value in job.hyperparameters.items()
    ]


def _value(value: Any) -> ChangeValue:
    """Keep what a report can show as it is; say the rest in words."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping) and value and all(type(each) in (int, float) for each in value.values()):
        return {str(name): float(each) for name, each in value.items()}
    return setting(value)


def _thresholds(manifest: Manifest | None) -> dict[str, float] | None:
    if manifest is None or manifest.thresholds is None:
        return None
    return dict(zip(manifest.labels, manifest.thresholds, strict=True))


def _environment(job: Job, manifest: Manifest | None) -> Environment:
    return Environment(
        device=job.worker.device if job.worker else None,
        worker=job.worker.id if job.worker else None,
        libraries=dict(sorted(manifest.libraries.items())) if manifest else {},
        usage=job.usage,
    )
