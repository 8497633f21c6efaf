"""A job on its way from a request into the store, once for a key."""

from sqlalchemy.orm import Session

from app.api.deps import Services
from app.api.idempotency import Answer, Once
from app.api.job_resource import describe
from app.errors import Overloaded
from app.preflight.devices import too_few_devices
from app.preflight.jobs import Prepared, dataset_not_found, fingerprint
from app.schemas.jobs import TrainJobRequest
from app.store import datasets, jobs, workers
from app.telemetry import JOBS_SUBMITTED


def submit(request: TrainJobRequest, services: Services, actor: str, key: str | None) -> Answer:
    """Store the job and ring for a worker, or give the answer that an equal request has got."""
    once = Once(services.database, key, "POST /jobs", fingerprint(request.model_dump(mode="json")))
    earlier = once.earlier()
    if earlier is not None:
        return earlier
    prepared = services.preflight.prepare(request)
    answer, is_new = once.perform(lambda session: _store(session, services, prepared, actor))
    if is_new:
        JOBS_SUBMITTED.labels(kind=request.kind).inc()
        services.doorbell.ring(answer.body["id"], request.queue)
    return answer


def _store(session: Session, services: Services, prepared: Prepared, actor: str) -> Answer:
    _refuse_when_full(session, services.settings.max_queued_jobs)
    dataset = datasets.get(session, prepared.dataset.id)
    if dataset is None:  # deleted since it was checked
        raise dataset_not_found()
    if any(datasets.get(session, further) is None for further in prepared.request.family.dataset_ids):
        raise dataset_not_found("/family/tasks")
    crew = workers.alive(session, services.silence_seconds)
    row = jobs.submit(
        session,
        request=prepared.request,
        request_sha256=prepared.request_sha256,
        dataset=dataset,
        base_model=prepared.base_model,
        warnings=[*prepared.warnings, *too_few_devices(prepared.request, crew)],
        max_attempts=services.settings.max_attempts,
        resolutions=prepared.resolutions,
        actor=actor,
    )
    job = describe(session, row, silence_seconds=services.silence_seconds)
    return Answer(201, job.model_dump(mode="json"), {"Location": f"/jobs/{row.id}"})


def _refuse_when_full(session: Session, most: int) -> None:
    queued = jobs.counts(session).get("queued", 0)
    if queued >= most:
        raise Overloaded(
            f"{queued} {'job is' if queued == 1 else 'jobs are'} waiting already.",
            code="queue-full",
            remedy="Wait until some have run, add workers, or raise TUNESMITH_MAX_QUEUED_JOBS.",
            headers={"Retry-After": "60"},
        )
