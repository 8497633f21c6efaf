"""Faults of memory and of numbers: killed by the kernel, a GPU that is full, a loss that is no number any more."""

from tests.faults.arithmetic import EVERY, STEPS
from tests.faults.field import Field
from tests.faults.recipes import Recipe
from tests.faults.scenario import scenario

STEP = 8
"""At which it happens."""
NEXT_EVALUATION = 12


PATIENT = {"STALL_SECONDS": "120", "LEASE_SECONDS": "30"}
"""Of workers in whose scenarios nobody is lost: other fields keep the cores busy while this one loads its libraries."""


def encoder(failpoint: str, **hyperparameters: object) -> Recipe:
    """Train the real encoder with a trap at a step."""
    return Recipe(steps=STEPS, every=EVERY, real=True, failpoint=failpoint, hyperparameters=hyperparameters)


@scenario("the kernel kills a training process for memory, each time", "P7")
def killed_for_memory(field: Field) -> None:
    field.api()
    worker = field.worker("memory-killer:")
    bad, good = field.submit(Recipe(mode="killed-for-memory"), Recipe())
    (job,) = field.wait(bad)
    assert (job.status, job.crash_count, job.error["code"]) == ("failed", 3, "worker-lost-limit"), job.error
    assert job.error["cause"]["code"] == "out-of-memory"
    assert "ran out of memory" in job.error["cause"]["detail"]
    reasons = [data["reason"] for kind, data in field.events(bad) if kind == "status" and data["to"] == "queued"]
    assert ["ran out of memory" in reason for reason in reasons[1:]] == [True, True], reasons
    field.succeeded(good, attempt=1, crashes=0)
    assert worker.alive


@scenario(
    "the memory of the GPU runs out: smaller parts, then failed with numbers",
    "P2 P12",
    databases=("sqlite",),
    long=True,
)
def gpu_full(field: Field) -> None:
    field.api()
    field.worker(**PATIENT)
    (once,) = field.submit(encoder(f"gpu-full:{STEP} 1"))
    field.succeeded(once, attempt=1, crashes=0)
    job = field.job(once)
    (warning,) = [warning for warning in job.warnings if warning["code"] == "batches-split"]
    assert f"step {STEP}" in warning["detail"] and "2 parts" in warning["detail"]
    assert (job.hyperparameters["batch_size"], job.progress["step"]) == (8, STEPS)
    (always,) = field.submit(encoder(f"gpu-full:{STEP} 0"))
    (job,) = field.wait(always)
    assert (job.status, job.attempt, job.crash_count) == ("failed", 1, 0), job.error
    assert (job.error["code"], job.error["step"], job.error["texts_at_once"]) == ("gpu-out-of-memory", STEP, 1)


@scenario("the loss becomes NaN: failed by the next evaluation, not tried again", "P2", databases=("postgres",))
def diverged(field: Field) -> None:
    field.api()
    field.worker(**PATIENT)
    (job_id,) = field.submit(encoder(f"nan:{STEP}", logging_steps=1000))
    (job,) = field.wait(job_id)
    assert (job.status, job.attempt, job.crash_count) == ("failed", 1, 0), (job.status_reason, job.error)
    assert (job.error["code"], job.error["step"]) == ("training-diverged", STEP)
    assert job.error["learning_rate"] > 0
    assert job.progress.get("step", 0) <= NEXT_EVALUATION
