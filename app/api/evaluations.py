"""Evaluations over HTTP: judge a stored version on the rows of a dataset, and see what came out."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Response
from sqlalchemy.orm import Session

from app.api import examples
from app.api.batch_resource import HERE as BATCHES
from app.api.batch_resource import progress_of, reason_of
from app.api.batches import refuse_crowd
from app.api.body import StrictRoute
from app.api.deps import CallerDep, Cursor, KeyDep, Limit, Services, ServicesDep, WaitDep
from app.api.idempotency import Answer, Once
from app.api.models import Name, Number, find_version
from app.api.problems import documented
from app.api.waiting import wait_for
from app.artifacts.stored import stored_manifest
from app.errors import NotFound, Overloaded, Unprocessable
from app.ids import is_id
from app.preflight.evaluations import cautions, rows_of
from app.preflight.jobs import dataset_not_found, fingerprint
from app.schemas.batches import BATCH_ENDED, BatchOptions
from app.schemas.datasets import DatasetProfile
from app.schemas.evaluations import EvaluationRequest, Judging, VersionEvaluation
from app.schemas.pages import Page
from app.store import batches, datasets, tables

router = APIRouter(tags=["Models"], route_class=StrictRoute)

HERE = "/models/{name}/versions/{version}/evaluations"

EvaluationId = Annotated[
    str, Path(description="The `id` of the evaluation.", examples=["bat_019302f4c9a57d30b2c4e6f8a0b1c2d3"])
]
RequestBody = Annotated[EvaluationRequest, Body(openapi_examples=examples.EVALUATION)]


@router.post(
    HERE,
    status_code=202,
    summary="Judge a version on a dataset",
    response_model=VersionEvaluation,
    response_description="The evaluation, stored and queued; `Location` is its address.",
    responses=documented(NotFound, Unprocessable, Overloaded),
)
def create_evaluation(
    name: Name, version: Number, request: RequestBody, services: ServicesDep, caller: CallerDep, key: KeyDep
) -> Response:
    """Have a worker answer labelled rows with a version, as it serves them, and score the answers.

    It is a batch prediction: resumed when its worker is lost, cancelled and deleted as one, and its results have the
    true label and the loss beside each answer.
    """
    here = HERE.format(name=name, version=version)
    once = Once(services.database, key, f"POST {here}", fingerprint(request.model_dump(mode="json")))

    def store(session: Session) -> Answer:
        refuse_crowd(session)
        row = _submit(session, find_version(session, name, version), request, caller.actor)
        body = describe(session, row, services).model_dump(mode="json")
        return Answer(202, body, {"Location": f"{here}/{row.id}"})

    return once.answer(store).response()


def _submit(
    session: Session, version: tables.ModelVersion, request: EvaluationRequest, actor: str
) -> tables.BatchPrediction:
    dataset = datasets.get(session, request.dataset_id) if is_id(request.dataset_id, "ds") else None
    if dataset is None:
        raise dataset_not_found()
    manifest = stored_manifest(version)
    rows = rows_of(request, manifest, DatasetProfile.model_validate(dataset.profile))
    judging = Judging(
        dataset_id=dataset.id,
        dataset_sha256=dataset.sha256,
        split=request.split,
        task=request.task,
        warnings=cautions(request, manifest, dataset.sha256),
    )
    options = BatchOptions(model=f"{version.model_name}:{version.version}")
    texts = batches.Texts(dataset.artifact_key, dataset.sha256, rows, dataset.id)
    return batches.submit(session, batches.new_batch_id(), options, version, texts, judging, actor)


@router.get(
    HERE,
    summary="List the evaluations of a version",
    response_description="Newest first.",
    responses=documented(NotFound),
)
def list_evaluations(
    name: Name, version: Number, services: ServicesDep, limit: Limit = 20, cursor: Cursor = None
) -> Page[VersionEvaluation]:
    """List what a version was judged on after its training, newest first, those that failed too."""
    with services.database.transaction(read_only=True) as session:
        find_version(session, name, version)
        rows, following = batches.judgings(session, name, version, limit, cursor)
        data = [describe(session, row, services) for row in rows]
    return Page(data=data, has_more=following is not None, next_cursor=following)


@router.get(
    f"{HERE}/{{evaluation_id}}",
    summary="Look at an evaluation",
    response_model=VersionEvaluation,
    response_description="The evaluation as it is now.",
    responses=documented(NotFound),
)
async def get_evaluation(
    name: Name, version: Number, evaluation_id: EvaluationId, services: ServicesDep, wait: WaitDep
) -> VersionEvaluation:
    """Give an evaluation and its scores; with `Prefer: wait=N` answer when it has ended, or after N seconds."""

    def read() -> VersionEvaluation:
        with services.database.transaction(read_only=True) as session:
            return describe(session, _find(session, name, version, evaluation_id), services)

    return await wait_for(read, lambda found: found.status in BATCH_ENDED, wait)


def _find(session: Session, name: str, version: int, evaluation_id: str) -> tables.BatchPrediction:
    row = batches.get(session, evaluation_id) if is_id(evaluation_id, "bat") else None
    if row is None or row.judging is None or (row.model_name, row.version) != (name, version):
        raise NotFound(
            "The version has no such evaluation.",
            code="evaluation-not-found",
            remedy=f"List them with GET {HERE.format(name=name, version=version)}.",
        )
    return row


def describe(session: Session, row: tables.BatchPrediction, services: Services) -> VersionEvaluation:
    """Give an evaluation as clients see it."""
    judging = Judging.model_validate(row.judging)
    version, batch = f"/models/{row.model_name}/versions/{row.version}", f"{BATCHES}/{row.id}"
    links = {"self": f"{version}/evaluations/{row.id}", "version": version, "batch": batch, "events": f"{batch}/events"}
    if row.status == "succeeded":
        links["results"] = f"{batch}/results"
    return VersionEvaluation.model_validate(
        {
            **judging.model_dump(),
            "id": row.id,
            "status": row.status,
            "status_reason": reason_of(session, row, services),
            "model": row.model_name,
            "version": row.version,
            "progress": progress_of(row),
            "judgement": row.judgement,
            "error": row.error,
            "created_at": row.created_at,
            "started_at": row.started_at,
            "finished_at": row.finished_at,
            "links": links,
        }
    )
