"""Faults at exact instants: ``kill -9`` on either side of every commit, rename and ring that a job depends on."""

from contextlib import suppress

import httpx

from tests.faults.field import Field
from tests.faults.patience import slowness
from tests.faults.recipes import Recipe
from tests.faults.scenario import scenario

FAST = 4
"""Steps of jobs that need not be long."""


def dies_in_worker(
    name: str, promises: str, failpoint: str, *, attempt: int = 2, crashes: int = 1, **settings: str
) -> None:
    """Kill a worker at an instant; the next one ends the job."""

    @scenario(f"worker killed {name}", promises)
    def act(field: Field) -> None:
        field.api()
        first = field.worker(failpoint, **settings)
        (job_id,) = field.submit(Recipe(steps=10, every=2))
        assert first.wait(40.0 * slowness()) < 0, "the trap was not sprung"
        field.worker()
        field.succeeded(job_id, attempt=attempt, crashes=crashes)


dies_in_worker("before the commit of a claim", "P1 P2", "before-commit:claim_next", attempt=1, crashes=0)
dies_in_worker("after the commit of a claim", "P2 P4", "after-commit:claim_next")
dies_in_worker("before the commit of a heartbeat", "P2 P4", "before-commit:heartbeat", HEARTBEAT_SECONDS="0.1")
dies_in_worker("while a checkpoint is copied", "P6 P12", "before-rename:artifacts/checkpoints/.*state.json")
dies_in_worker("before a checkpoint's manifest", "P6 P12", "before-rename:artifacts/checkpoints/.*manifest.json")
dies_in_worker("after a checkpoint is whole", "P6 P12", "after-rename:artifacts/checkpoints/.*manifest.json")
dies_in_worker("while a bundle is copied", "P2 P12", "before-rename:artifacts/models/.*tokenizer.json")
dies_in_worker("after the files, before the version", "P2 P12", "after-rename:artifacts/models/.*/manifest.json$")
dies_in_worker("inside the transaction that publishes", "P2", "before-commit:register_version")
dies_in_worker("after the commit that publishes", "P2 P5", "after-commit:register_version", attempt=1, crashes=0)


@scenario("worker killed before it gives the job back", "P8 P4")
def before_release(field: Field) -> None:
    _killed_giving_back(field, "before-commit:release", crashes=1)


@scenario("worker killed after it gave the job back", "P8")
def after_release(field: Field) -> None:
    _killed_giving_back(field, "after-commit:release", crashes=0)


def _killed_giving_back(field: Field, failpoint: str, *, crashes: int) -> None:
    field.api()
    first = field.worker(failpoint)
    job_id = field.hold(Recipe(hold=7))
    assert first.stop(30.0 * slowness()) < 0, "the trap was not sprung"
    field.worker()
    field.succeeded(job_id, attempt=2, crashes=crashes)


@scenario("rescuer killed inside its transaction", "P4 P5")
def before_rescue(field: Field) -> None:
    _rescuer_killed(field, "before-commit:rescue_expired")


@scenario("rescuer killed after its commit", "P4 P5")
def after_rescue(field: Field) -> None:
    _rescuer_killed(field, "after-commit:rescue_expired")


def _rescuer_killed(field: Field, failpoint: str) -> None:
    api = field.api()
    first = field.worker()
    job_id = field.hold(Recipe(hold=6))
    api.kill()  # so that nobody else takes the lease back
    first.kill()
    rescuer = field.worker(failpoint)
    assert rescuer.wait(40.0 * slowness()) < 0, "the trap was not sprung"
    field.worker()
    field.succeeded(job_id, attempt=2, crashes=1)


def dies_in_api(name: str, failpoint: str) -> None:
    """Kill the API while it takes a job; the client asks again with its key."""

    @scenario(f"API killed {name}", "P1 P11")
    def act(field: Field) -> None:
        field.api()
        field.worker()
        field.client.close()  # its kept connection belongs to the API that goes
        field.client = httpx.Client(base_url=field.client.base_url, timeout=5.0, trust_env=False)
        field.members[0].kill()
        trapped = field.api(failpoint)
        recipe = Recipe(steps=FAST)
        with suppress(httpx.TransportError):
            field.submit_once(recipe)
        assert trapped.wait(20.0 * slowness()) < 0, "the trap was not sprung"
        field.api()
        field.submit(recipe)
        field.wait()


dies_in_api("before the commit of a job", "before-commit:submit")
dies_in_api("after the commit of a job, before the answer", "after-commit:submit")
dies_in_api("before it rings", "before-ring:")
dies_in_api("after it has rung", "after-ring:")


@scenario("API killed around the commit of a cancel", "P5 P9")
def cancel_killed(field: Field) -> None:
    field.api()
    field.worker()
    for failpoint in ("before-commit:cancel", "after-commit:cancel"):
        job_id = field.hold(Recipe(hold=3))
        field.members[0 if failpoint.startswith("before") else -1].kill()
        trapped = field.api(failpoint)
        with suppress(httpx.TransportError):
            field.client.post(f"/jobs/{job_id}/cancel")
        assert trapped.wait(20.0 * slowness()) < 0, "the trap was not sprung"
        field.api()
        assert field.client.post(f"/jobs/{job_id}/cancel").status_code == 202
        assert field.wait(job_id)[0].status == "cancelled"


@scenario("API killed around the commit that moves an alias", "P5")
def promote_killed(field: Field) -> None:
    first = field.api()
    field.worker()
    ids = field.submit(Recipe(steps=FAST), Recipe(steps=FAST))
    field.wait()
    first.kill()
    for failpoint, number in (("before-commit:set_alias", 1), ("after-commit:set_alias", 2)):
        trapped = field.api(failpoint)
        with suppress(httpx.TransportError):
            field.client.put("/models/chain/aliases/champion", json={"version": number})
        assert trapped.wait(20.0 * slowness()) < 0, "the trap was not sprung"
        last = field.api()
        moved = field.client.get("/models/chain/aliases/champion")
        assert (moved.status_code == 200) == (number == 2), moved.text
        last.kill()
    assert len(ids) == 2
