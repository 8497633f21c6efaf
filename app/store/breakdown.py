"""Where the time of a job that succeeded went, once it is known how long all of it took."""

from datetime import datetime
from typing import Any

from app.schemas.usage import Breakdown
from app.store.tables import Job


def completed(job: Job) -> dict[str, Any]:
    """Give the usage of a finished job with all parts of its breakdown; unchanged where no worker has told any.

    The database's clock says how long the job took, the worker's what lies between the last claim and the export. What
    is left over was spent on publishing, or, where attempts were lost before, on waiting and on them.
    """
    if not job.usage.get("breakdown") or job.finished_at is None or job.started_at is None:
        return job.usage
    told = Breakdown.model_validate(job.usage["breakdown"])
    known = (told.start or 0.0) + told.prepare + told.train + told.evaluate + told.export + told.verify
    left = (job.finished_at - job.created_at).total_seconds() - known
    if job.attempt == 1:
        queue = min(max(0.0, (job.started_at - job.created_at).total_seconds()), max(0.0, left))
    else:
        queue = max(0.0, left - _published(job))
    parts = {"queue": round(queue, 3), "publish": round(max(0.0, left - queue), 3)}
    return job.usage | {"breakdown": told.model_copy(update=parts).model_dump()}


def _published(job: Job) -> float:
    """Give the seconds of the phase in which the job ended."""
    last = job.phase_history[-1] if job.phase_history else {}
    if last.get("phase") != "publishing" or job.finished_at is None:
        return 0.0
    return float((job.finished_at - datetime.fromisoformat(last["started_at"])).total_seconds())
