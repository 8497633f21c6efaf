"""Faults of a real training: a tiny encoder must end with the same bits as one that was left in peace."""

from sqlalchemy import select

from app.artifacts.bundle import Manifest
from app.store.tables import ModelVersion
from tests.faults.field import Field
from tests.faults.patience import slowness
from tests.faults.recipes import Recipe
from tests.faults.scenario import scenario
from tests.faults.stores import kept, spoil

STEPS, EVERY = 18, 4


def recipe(failpoint: str = "") -> Recipe:
    """Train a dozen steps and save every few of them."""
    return Recipe(steps=STEPS, every=EVERY, real=True, failpoint=failpoint)


def compare(field: Field, *job_ids: str) -> None:
    """Want the weights of a run that was left in peace, made where there is none yet."""
    wanted = field.twin.weights(lambda: left_in_peace(field))
    field.wanted |= dict.fromkeys(job_ids, wanted)


def left_in_peace(field: Field) -> str:
    """Train without any fault, and give the hash of the weights."""
    (job_id,) = field.submit(recipe())
    field.succeeded(job_id, attempt=1, crashes=0)
    with field.database.transaction(read_only=True) as session:
        prefix = session.scalars(select(ModelVersion.artifact_prefix).where(ModelVersion.job_id == job_id)).one()
    manifest = Manifest.model_validate_json((field.artifacts.root / prefix / "manifest.json").read_bytes())
    return manifest.files["weights/model.safetensors"].sha256


def resumed_from(field: Field, job_id: str) -> int:
    """Give the step at which the second attempt went on."""
    return next(int(data["step"]) for kind, data in field.events(job_id) if kind == "resumed")


@scenario("real encoder killed between and within two saves", "P2 P6 P12", databases=("postgres",), long=True)
def killed(field: Field) -> None:
    field.api()
    field.worker()
    for failpoint in ("after-rename:checkpoint-000000008$", r"before-rename:checkpoint-000000008.*/optimizer"):
        (job_id,) = field.submit(recipe(failpoint))
        field.succeeded(job_id, attempt=2, crashes=1)
        assert resumed_from(field, job_id) == EVERY
    compare(field, *field.accepted)


@scenario("real encoder drained: no optimizer step is repeated", "P6 P8", databases=("sqlite",), long=True)
def drained(field: Field) -> None:
    field.api()
    worker = field.worker(DRAIN_GRACE_SECONDS=f"{10 * slowness():.0f}")
    (job_id,) = field.submit(recipe(f"pause {3 * slowness():.0f}:checkpoint-000000008$"))
    field.until(lambda: kept(field, job_id), "it was saved", 60.0)
    assert worker.stop(30.0 * slowness()) == 0
    before = field.job(job_id)
    assert (before.status, before.interruption_count) == ("queued", 1), before.status_reason
    field.worker()
    field.succeeded(job_id, attempt=2, crashes=0)
    assert resumed_from(field, job_id) >= before.progress["step"]
    compare(field, job_id)


@scenario("real encoder's newest checkpoint has a flipped bit", "P6 P12", databases=("sqlite",), long=True)
def damaged(field: Field) -> None:
    field.api()
    first = field.worker(r"after-rename:artifacts/checkpoints/.*/8/manifest.json")
    # The pause lets the first checkpoint be stored, so that the second is not passed over for the third.
    (job_id,) = field.submit(recipe(f"pause {3 * slowness():.0f}:checkpoint-000000008$"))
    assert first.wait(60.0 * slowness()) < 0, "the trap was not sprung"
    spoil(kept(field, job_id)[-1].with_name("optimizer.safetensors"), "flip")
    field.worker()
    field.succeeded(job_id, attempt=2, crashes=1)
    assert resumed_from(field, job_id) == EVERY
    compare(field, job_id)
