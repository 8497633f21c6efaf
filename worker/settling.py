"""How an attempt that published nothing is written down: failed, or given back, as a crash or as an interruption."""

from sqlalchemy.orm import Session

from app.store import jobs
from worker.failures import crashed
from worker.lease import Lease
from worker.outcome import Outcome

UNSETTLED = Outcome("crashed", crashed("The database refused what the attempt had to report.").as_dict(None))
"""What is written in place of an end that cannot be."""


def settle(session: Session, lease: Lease, outcome: Outcome) -> None:
    """Write the end of an attempt that published nothing; a fallen claim makes it write nothing."""
    if outcome.ending == "failed":
        error = outcome.error or {}
        jobs.fail(session, lease.claim, error, reason=str(error.get("detail", "The job failed.")))
    else:
        jobs.release(
            session,
            lease.claim,
            crashed=outcome.ending == "crashed",
            reason=reason_of(outcome, cancelled=lease.cancel_requested.is_set()),
            error=outcome.error,
            wait=outcome.transient,
        )


def reason_of(outcome: Outcome, *, cancelled: bool) -> str:
    """Say in one sentence why an attempt ended without an outcome."""
    if cancelled:
        return "The client cancelled the job."
    if outcome.error is not None:
        return str(outcome.error["detail"])
    return outcome.reason or "The worker shut down and gave the job back."
