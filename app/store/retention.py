"""Deleting versions: never one in use, the row at once, its files later."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.errors import Conflict, NotFound
from app.schemas.jobs import TERMINAL
from app.store import live, models, predictions, promotions, shadows, traffic
from app.store.engine import clock, now_plus
from app.store.tables import BatchPrediction, Dataset, DiscardedArtifact, Job, Model, ModelAlias, ModelVersion


@dataclass(frozen=True, slots=True)
class Pruned:
    """What keeping the newest versions means."""

    deleted: list[tuple[int, int]]
    """Number and bytes of each version that goes."""
    kept: dict[int, str]
    """Versions that would go but for a reason, which is told."""


def delete_version(session: Session, name: str, number: int) -> ModelVersion:
    """Remove the row of a version and note its files for later removal; its number never comes back.

    Raises NotFound ``version-not-found``, Conflict ``in-use``.
    """
    model = models.locked(session, name)
    row = models.get_version(session, name, number)
    if row is None:
        raise NotFound(f"{name} has no version {number}.", "version-not-found", "List GET /models/{name}/versions.")
    uses = _uses(session, name).get(number, [])
    if uses:
        raise Conflict(
            f"Version {number} of {name} is in use: {', '.join(uses)}.",
            "in-use",
            "Move or remove the alias or end what it tries, or wait for the job or batch or cancel it; then delete it.",
            extra={"uses": uses},
        )
    _discard(session, model, row)
    return row


def prune(session: Session, name: str, keep_last: int, *, dry_run: bool) -> Pruned:
    """Delete all but the newest ``keep_last`` versions, those in use, and those that a rollback would go to.

    Raises NotFound ``model-not-found``.
    """
    model = models.locked(session, name)
    reasons = _uses(session, name)
    for alias in models.aliases(session, name):
        back = promotions.previous(session, name, alias.alias)
        if back is not None:
            reasons.setdefault(back, []).append(f"the alias {alias.alias} would roll back to it")
    found = Pruned([], {})
    for row in models.versions(session, name)[keep_last:]:
        if row.version in reasons:
            found.kept[row.version] = ", ".join(reasons[row.version])
            continue
        found.deleted.append((row.version, row.bytes))
        if not dry_run:
            _discard(session, model, row)
    return found


def _discard(session: Session, model: Model, row: ModelVersion) -> None:
    model.last_version = max(model.last_version or 0, row.version, *_numbers(session, model.name))
    session.add(DiscardedArtifact(prefix=row.artifact_prefix, bytes=row.bytes, discarded_at=clock(session)))
    shadows.forget(session, model.name, row.version)
    live.forget(session, model.name, row.version)
    predictions.forget(session, model.name, row.version)
    session.delete(row)
    session.flush()


def _numbers(session: Session, name: str) -> list[int]:
    return list(session.scalars(select(ModelVersion.version).where(ModelVersion.model_name == name)))


def _uses(session: Session, name: str) -> dict[int, list[str]]:
    """Say what needs each version of a model: aliases that name it, unfinished jobs and batches that work with it."""
    uses: dict[int, list[str]] = {}
    for alias in session.scalars(select(ModelAlias).where(ModelAlias.model_name == name).order_by(ModelAlias.alias)):
        uses.setdefault(alias.version, []).append(f"the alias {alias.alias} names it")
    for number, use in traffic.uses(session, name):
        uses.setdefault(number, []).append(use)
    unfinished = select(Job.id, Job.base_model, Job.request).where(Job.status.not_in(TERMINAL)).order_by(Job.id)
    for job_id, base_model, request in session.execute(unfinished):
        teacher = (request.get("hyperparameters") or {}).get("distillation") or {}
        starts = [(base_model.get("id"), base_model.get("revision"), "starts from it")]
        starts.append((teacher.get("teacher"), teacher.get("revision"), "learns from it"))
        for source, revision, how in starts:
            if _model_of(source) == name and str(revision or "").isdecimal():
                uses.setdefault(int(revision), []).append(f"job {job_id} {how}")
    answering = select(BatchPrediction).where(
        BatchPrediction.model_name == name, BatchPrediction.status.in_(("queued", "running"))
    )
    for batch in session.scalars(answering.order_by(BatchPrediction.id)):
        uses.setdefault(batch.version, []).append(f"batch {batch.id} is answered by it")
    return uses


def _model_of(source: object) -> str | None:
    if not isinstance(source, str) or not source.startswith("model:"):
        return None
    return source.removeprefix("model:").partition("@")[0].partition(":")[0]


def discarded(session: Session, older_than_seconds: float) -> list[DiscardedArtifact]:
    """List the files of versions that were deleted so long ago."""
    query = select(DiscardedArtifact).where(DiscardedArtifact.discarded_at <= now_plus(-older_than_seconds))
    return list(session.scalars(query.order_by(DiscardedArtifact.discarded_at)))


def forget(session: Session, prefix: str) -> None:
    """Note that the files of a deleted version are gone."""
    session.execute(delete(DiscardedArtifact).where(DiscardedArtifact.prefix == prefix))


def prefixes(session: Session) -> set[str]:
    """Name every folder of files that a version, or the note of a deleted one, refers to."""
    return {
        *session.scalars(select(ModelVersion.artifact_prefix)),
        *session.scalars(select(DiscardedArtifact.prefix)),
    }


def version_ids(session: Session) -> set[str]:
    """Name all versions."""
    return set(session.scalars(select(ModelVersion.id)))


def known_datasets(session: Session, ids: Collection[str]) -> set[str]:
    """Name those of these datasets that exist."""
    return set(session.scalars(select(Dataset.id).where(Dataset.id.in_(ids))))


def recent_jobs(session: Session, ids: Collection[str], within_seconds: float) -> set[str]:
    """Name those of these jobs that have not ended, or ended within the last seconds."""
    ended = Job.status.in_(TERMINAL) & (func.coalesce(Job.finished_at, Job.created_at) <= now_plus(-within_seconds))
    return set(session.scalars(select(Job.id).where(Job.id.in_(ids), ~ended)))
