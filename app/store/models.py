"""The registry: models, their versions, and the aliases that move between them."""

from collections.abc import Collection
from typing import TypedDict

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from app.errors import NotFound, PreconditionFailed, nearest
from app.ids import new_id
from app.schemas.base import Resource
from app.schemas.traffic import Traffic
from app.store import attempts, claims, cursors, promotions, traffic
from app.store.attempts import LeaseLost
from app.store.claims import Claim
from app.store.engine import clock, upsert
from app.store.promotions import Note
from app.store.tables import Model, ModelAlias, ModelVersion

CHAMPION = "champion"
"""The alias that a plain model name means, once it is set."""
MAX_VERSION = 2**31 - 1
ANY_REVISION = -1
"""Expected of an alias: that it is set, in whatever revision."""


class Entry(TypedDict):
    """What serving needs to know of one model."""

    newest: int
    aliases: dict[str, int]
    deleted: set[int]
    """Numbers below ``newest`` whose versions are gone."""
    traffic: dict[str, Traffic]
    """How calls are split, by alias; those that are not split are absent."""


def register_version(
    session: Session, claim: Claim, *, manifest: Resource, manifest_sha256: str, artifact_prefix: str, bytes: int
) -> ModelVersion:
    """Make the next version of the job's model and end the job as ``succeeded``, in this one transaction.

    Raises LeaseLost ``lease-lost`` or ``cancel-requested``; the caller's transaction must then roll back.
    """
    job = claims.held(session, claim)
    if job is None:
        raise LeaseLost("The job is no longer held by this attempt.", "lease-lost")
    model = _locked_model(session, job.model_name)
    highest = session.scalar(select(func.max(ModelVersion.version)).where(ModelVersion.model_name == model.name))
    newest = max(highest or 0, model.last_version or 0)
    if not attempts.succeed(session, claim, reason=f"Published as version {newest + 1} of {model.name}."):
        raise LeaseLost("A cancel came before the version was published.", "cancel-requested")
    model.updated_at = clock(session)
    model.last_version = newest + 1
    version = ModelVersion(
        id=new_id("ver"),
        model_name=model.name,
        version=newest + 1,
        job_id=claim.job_id,
        attempt=claim.attempt,
        artifact_prefix=artifact_prefix,
        manifest=manifest.model_dump(mode="json"),
        manifest_sha256=manifest_sha256,
        bytes=bytes,
        created_at=model.updated_at,
    )
    session.add(version)
    session.flush()
    return version


def _locked_model(session: Session, name: str) -> Model:
    """Lock the row of a model, made when missing: it orders the versions and the moves of aliases."""
    at = clock(session)
    row = {"name": name, "revision": 0, "created_at": at, "updated_at": at}
    session.execute(upsert(session, Model).values(row).on_conflict_do_nothing(index_elements=["name"]))
    return session.get_one(Model, name, with_for_update=True, populate_existing=True)


def get_model(session: Session, name: str) -> Model | None:
    """Find a model."""
    return session.get(Model, name)


def known(session: Session, name: str) -> Model:
    """Give a model; raises NotFound ``model-not-found`` with the nearest name."""
    row = get_model(session, name)
    if row is None:
        near = nearest(name[:100], registry_snapshot(session))
        raise NotFound(
            "There is no model of this name.",
            code="model-not-found",
            remedy=f"Did you mean {near}?" if near else "List them with GET /models.",
        )
    return row


def page_models(session: Session, limit: int, cursor: str | None = None) -> tuple[list[Model], str | None]:
    """List models with a version by name, and the cursor of the next page; raises Unprocessable ``invalid-cursor``."""
    query = select(Model).where(exists().where(ModelVersion.model_name == Model.name)).order_by(Model.name)
    if cursor is not None:
        query = query.where(Model.name > cursors.decode_name(cursor))
    rows = list(session.scalars(query.limit(limit + 1)))
    return (rows, None) if len(rows) <= limit else (rows[:limit], cursors.encode(rows[limit - 1].name))


def versions(session: Session, name: str) -> list[ModelVersion]:
    """List the versions of a model, newest first."""
    query = select(ModelVersion).where(ModelVersion.model_name == name).order_by(ModelVersion.version.desc())
    return list(session.scalars(query))


def get_version(session: Session, name: str, number: int) -> ModelVersion | None:
    """Find a version by its number."""
    if not 1 <= number <= MAX_VERSION:
        return None
    query = select(ModelVersion).where(ModelVersion.model_name == name, ModelVersion.version == number)
    return session.scalars(query).one_or_none()


def known_version(session: Session, name: str, number: int) -> ModelVersion:
    """Give a version of a model; raises NotFound ``version-not-found``."""
    row = get_version(session, name, number)
    if row is None:
        raise NotFound(
            f"{name} has no version {number}.",
            code="version-not-found",
            remedy=f"List them with GET /models/{name}/versions.",
        )
    return row


def of_jobs(session: Session, job_ids: Collection[str]) -> dict[str, ModelVersion]:
    """Give the version that each of these jobs published, by job id; a job without one is absent."""
    query = select(ModelVersion).where(ModelVersion.job_id.in_(job_ids))
    return {version.job_id: version for version in session.scalars(query)}


def resolve(session: Session, name: str, alias: str | None = None, version: int | None = None) -> ModelVersion | None:
    """Find what a reference means: a number, an alias, or for a plain name ``champion`` if set, else the newest."""
    if version is not None:
        return get_version(session, name, version)
    row = session.get(ModelAlias, (name, alias or CHAMPION))
    if row is not None:
        return get_version(session, name, row.version)
    if alias is not None:
        return None
    newest = select(ModelVersion).where(ModelVersion.model_name == name).order_by(ModelVersion.version.desc())
    return session.scalars(newest.limit(1)).one_or_none()


def get_alias(session: Session, name: str, alias: str) -> ModelAlias | None:
    """Find an alias, as it is now."""
    return session.get(ModelAlias, (name, alias), populate_existing=True)


def aliases(session: Session, name: str) -> list[ModelAlias]:
    """List the aliases of a model by name."""
    query = select(ModelAlias).where(ModelAlias.model_name == name).order_by(ModelAlias.alias)
    return list(session.scalars(query))


def set_alias(
    session: Session,
    name: str,
    alias: str,
    version: int,
    expected_revision: int | None = None,
    note: Note = Note(),
) -> ModelAlias:
    """Point an alias at a version; with ``expected_revision`` (0: not set yet) only if nobody moved it meanwhile.

    A move is recorded with ``note``; to name the same version again is no move. It ends what is tried beside the alias.
    Raises NotFound ``model-not-found`` or ``version-not-found``, PreconditionFailed ``alias-moved``.
    """
    model, row = _locked_alias(session, name, alias, expected_revision)
    known_version(session, name, version)
    if row is not None and row.version == version:
        return row
    at = model.updated_at = clock(session)
    model.revision += 1
    left = traffic.follow_move(session, model, alias, version, note.actor)
    before = None if row is None else row.version
    promotions.record(session, model, alias, note, before=before, after=version, traffic=left)
    if row is None:
        row = ModelAlias(model_name=name, alias=alias)
        session.add(row)
    row.version, row.revision, row.updated_at = version, model.revision, at
    session.flush()
    return row


def delete_alias(
    session: Session, name: str, alias: str, expected_revision: int | None = None, note: Note = Note(kind="remove")
) -> bool:
    """Remove an alias; False when it is not set. Raises NotFound ``model-not-found``, PreconditionFailed."""
    model, row = _locked_alias(session, name, alias, expected_revision)
    if row is None:
        return False
    model.revision += 1
    model.updated_at = clock(session)
    left = traffic.remove(session, model, alias)
    session.execute(delete(ModelAlias).where(ModelAlias.model_name == name, ModelAlias.alias == alias))
    promotions.record(session, model, alias, note, before=row.version, after=None, traffic=left)
    return True


def locked(session: Session, name: str) -> Model:
    """Take the row of a model, which orders all changes of its aliases; raises NotFound ``model-not-found``."""
    model = session.get(Model, name, with_for_update=True, populate_existing=True)
    if model is None:
        raise NotFound(f"There is no model {name!r}.", "model-not-found", "List GET /models.")
    return model


def _locked_alias(
    session: Session, name: str, alias: str, expected_revision: int | None
) -> tuple[Model, ModelAlias | None]:
    model = locked(session, name)
    return model, expect(session, name, alias, expected_revision)


def expect(session: Session, name: str, alias: str, expected_revision: int | None) -> ModelAlias | None:
    """Give an alias, None when it is not set; raises PreconditionFailed ``alias-moved`` at another revision."""
    row = get_alias(session, name, alias)
    revision = 0 if row is None else row.revision
    met = row is not None if expected_revision == ANY_REVISION else expected_revision in (None, revision)
    if not met:
        raise PreconditionFailed(
            f"The alias {alias!r} of {name} was moved meanwhile.", "alias-moved", "Read it again, then decide."
        )
    return row


def registry_snapshot(session: Session) -> dict[str, Entry]:
    """Read what serving needs of all models, in three queries; a fourth one where versions were deleted."""
    name, number = ModelVersion.model_name, ModelVersion.version
    numbers = session.execute(select(name, func.max(number), func.count()).group_by(name)).all()
    snapshot: dict[str, Entry] = {
        row[0]: {"newest": row[1], "aliases": {}, "deleted": set(), "traffic": {}} for row in numbers
    }
    thinned = [row[0] for row in numbers if row[2] < row[1]]
    for model in thinned:
        snapshot[model]["deleted"] = set(range(1, snapshot[model]["newest"]))
    if thinned:
        for model, present in session.execute(select(name, number).where(name.in_(thinned))):
            snapshot[model]["deleted"].discard(present)
    for row in session.execute(select(ModelAlias.model_name, ModelAlias.alias, ModelAlias.version)):
        if row.model_name in snapshot:
            snapshot[row.model_name]["aliases"][row.alias] = row.version
    for (model, alias), split in traffic.of_all(session).items():
        if model in snapshot:
            snapshot[model]["traffic"][alias] = split
    return snapshot
