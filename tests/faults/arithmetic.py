"""Faults of a real training: a tiny encoder must end with the same bits as one that was left in peace."""

from tests.faults.field import Field
from tests.faults.patience import slowness
from tests.faults.recipes import Recipe
from tests.faults.scenario import scenario
from tests.faults.stores import kept, spoil

STEPS, EVERY = 18, 4


def recipe(failpoint: str = "") -> Recipe:
    """Train a dozen steps and save every few of them."""
    return Recipe(steps=STEPS, every=EVERY, real=True, failpoint=failpoint)


def left_in_peace(field: Field) -> str:
    """Train without any fault, to compare with."""
    (job_id,) = field.submit(recipe())
    field.succeeded(job_id, attempt=1, crashes=0)
    return job_id


def resumed_from(field: Field, job_id: str) -> int:
    """Give the step at which the second attempt went on."""
    return next(int(data["step"]) for kind, data in field.events(job_id) if kind == "resumed")


@scenario("real encoder killed between and within two saves", "P2 P6 P12", databases=("postgres",), long=True)
def killed(field: Field) -> None:
    field.api()
    field.worker()
    peace = left_in_peace(field)
    for failpoint in ("after-rename:checkpoint-000000008$", r"before-rename:checkpoint-000000008.*/optimizer"):
        (job_id,) = field.submit(recipe(failpoint))
        field.twins[job_id] = peace
        field.succeeded(job_id, attempt=2, crashes=1)
        assert resumed_from(field, job_id) == EVERY


@scenario("real encoder drained: no optimizer step is repeated", "P6 P8", databases=("sqlite",), long=True)
def drained(field: Field) -> None:
    field.api()
    worker = field.worker(DRAIN_GRACE_SECONDS=f"{10 * slowness():.0f}")
    peace = left_in_peace(field)
    (job_id,) = field.submit(recipe(f"pause {3 * slowness():.0f}:checkpoint-000000008$"))
    field.twins[job_id] = peace
    field.until(lambda: kept(field, job_id), "it was saved", 60.0)
    assert worker.stop(30.0 * slowness()) == 0
    before = field.job(job_id)
    assert (before.status, before.interruption_count) == ("queued", 1), before.status_reason
    field.worker()
    field.succeeded(job_id, attempt=2, crashes=0)
    assert resumed_from(field, job_id) >= before.progress["step"]


@scenario("real encoder's newest checkpoint has a flipped bit", "P6 P12", databases=("sqlite",))
def damaged(field: Field) -> None:
    field.api()
    first = field.worker()
    peace = left_in_peace(field)
    first.stop(30.0 * slowness())
    first = field.worker(r"after-rename:artifacts/checkpoints/.*/8/manifest.json")
    # The pause lets the first checkpoint be stored, so that the second is not passed over for the third.
    (job_id,) = field.submit(recipe(f"pause {3 * slowness():.0f}:checkpoint-000000008$"))
    field.twins[job_id] = peace
    assert first.wait(60.0 * slowness()) < 0, "the trap was not sprung"
    spoil(kept(field, job_id)[-1].with_name("optimizer.safetensors"), "flip")
    field.worker()
    field.succeeded(job_id, attempt=2, crashes=1)
    assert resumed_from(field, job_id) == EVERY
