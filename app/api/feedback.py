"""Logged answers over HTTP, and feedback to them."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy.orm import Session

from app.api import examples
from app.api.body import StrictRoute
from app.api.deps import Cursor, KeyDep, Limit, Services, ServicesDep
from app.api.idempotency import Answer, Once
from app.api.models import Name
from app.api.problems import documented
from app.artifacts.stored import stored_manifest
from app.errors import FieldError, NotFound, Unprocessable, nearest
from app.ids import is_id
from app.preflight.jobs import fingerprint
from app.schemas.feedback import Feedback, LoggedPrediction
from app.schemas.pages import Page
from app.store import models, predictions, tables

router = APIRouter(tags=["Predictions"], route_class=StrictRoute)

PredictionId = Annotated[
    str, Path(description="The `id` of the prediction.", examples=["pred_019302f4d1b37a4fb2c6e8d0f1a3b5c7"])
]
Version = Annotated[int | None, Query(ge=1, le=models.MAX_VERSION, description="Only answers of this version.")]
Judged = Annotated[
    bool | None, Query(description="true: only answers with feedback; false: only those without.", examples=[True])
]


@router.get(
    "/predictions/{prediction_id}",
    summary="Look at a logged answer",
    response_description="The answer, and what was said of it.",
    responses=documented(NotFound),
)
def get_prediction(prediction_id: PredictionId, services: ServicesDep) -> LoggedPrediction:
    """Give an answer that was logged; one that was not has no `id`."""
    _await_writing(services, prediction_id)
    with services.database.transaction(read_only=True) as session:
        return _described(_found(session, prediction_id))


@router.post(
    "/predictions/{prediction_id}/feedback",
    summary="Say what the right answer was",
    response_model=LoggedPrediction,
    response_description="The answer, and what is said of it now.",
    responses=documented(NotFound, Unprocessable),
)
def give_feedback(
    prediction_id: PredictionId,
    feedback: Annotated[Feedback, Body(openapi_examples=examples.FEEDBACK)],
    services: ServicesDep,
    key: KeyDep,
) -> Response:
    """Say what the right label was. The same again changes nothing; another one replaces it, so that it counts once.

    An answer is known to all processes two seconds after it was given, and to the process that gave it at once.
    """
    _await_writing(services, prediction_id)
    operation = f"POST /predictions/{prediction_id[:40]}/feedback"
    once = Once(services.database, key, operation, fingerprint(feedback.model_dump()))

    def work(session: Session) -> Answer:
        row = _found(session, prediction_id, for_update=True)
        truth = _truth(session, row, feedback)
        predictions.judge(session, row, truth, right=set(truth) == set(_given(row)))
        return Answer(200, _described(row).model_dump(mode="json"))

    return once.answer(work).response()


@router.get(
    "/models/{name}/predictions",
    summary="List logged answers",
    response_description="Newest first.",
    responses=documented(NotFound, Unprocessable),
)
def list_predictions(
    name: Name,
    services: ServicesDep,
    version: Version = None,
    judged: Judged = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[LoggedPrediction]:
    """List the answers of a model that were logged, with what was said of them: new rows to learn from."""
    with services.database.transaction(read_only=True) as session:
        models.known(session, name)
        rows, following = predictions.page(session, name, version=version, judged=judged, limit=limit, cursor=cursor)
        return Page(data=[_described(row) for row in rows], has_more=following is not None, next_cursor=following)


def _await_writing(services: Services, prediction_id: str) -> None:
    """Write what this process has not yet, if the answer may be among it."""
    with services.database.transaction(read_only=True) as session:
        is_there = predictions.get(session, prediction_id) is not None
    if not is_there and is_id(prediction_id, "pred"):
        services.predictions.observer.flusher.flush()


def _found(session: Session, prediction_id: str, *, for_update: bool = False) -> tables.LoggedPrediction:
    row = predictions.get(session, prediction_id, for_update=for_update)
    if row is None:
        raise NotFound(
            "There is no logged answer of this id.",
            code="prediction-not-found",
            remedy="Send the id of a prediction as it was answered. It is known everywhere two seconds later, until "
            "the retention of the log is over or its version is deleted.",
        )
    return row


def _truth(session: Session, row: tables.LoggedPrediction, feedback: Feedback) -> list[str]:
    """Give the right labels in the order of the version. Raises Unprocessable ``unknown-label`` and others."""
    version = models.get_version(session, row.model_name, row.version)
    if version is None:  # deleted just now
        raise NotFound(
            f"{row.model_name} has no version {row.version} any more.", "version-not-found", "Its answers are gone."
        )
    known = stored_manifest(version).labels
    several = row.labels is not None
    if several != (feedback.labels is not None):
        raise _wrong_field(several)
    wanted = [feedback.label] if feedback.labels is None else feedback.labels
    for index, label in enumerate(wanted):
        if label not in known:
            raise _unknown_label(f"/labels/{index}" if several else "/label", str(label), known)
    return [label for label in known if label in wanted]


def _wrong_field(several: bool) -> Unprocessable:
    wanted, other = ("labels", "label") if several else ("label", "labels")
    words = f"is not for this version, which gives {'any number of labels' if several else 'one label'} a text"
    remedy = f"Send {wanted} instead."
    return Unprocessable(
        f"/{other} {words}.",
        code="wrong-kind-of-feedback",
        remedy=remedy,
        errors=(FieldError(f"/{other}", "wrong-kind-of-feedback", words, remedy=remedy),),
    )


def _unknown_label(place: str, label: str, known: Sequence[str]) -> Unprocessable:
    near = nearest(label[:100], known)
    remedy = f"Did you mean {near}?" if near else "Send one of the version's labels."
    return Unprocessable(
        f"{place} is not a label of the version that answered.",
        code="unknown-label",
        remedy=remedy,
        errors=(FieldError(place, "unknown-label", "is not a label of this version", list(known), remedy),),
    )


def _given(row: tables.LoggedPrediction) -> list[str]:
    return [row.label] if row.labels is None else list(row.labels)


def _described(row: tables.LoggedPrediction) -> LoggedPrediction:
    return LoggedPrediction(
        id=row.id,
        model=row.model_name,
        alias=row.alias,
        version=row.version,
        at=row.at,
        label=row.label,
        labels=row.labels,
        score=row.score,
        tokens=row.tokens,
        text=row.text,
        expires_at=row.expires_at,
        truth=row.truth,
        right=row.right,
        feedback_at=row.feedback_at,
    )
