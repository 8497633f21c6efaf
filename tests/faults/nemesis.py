"""The nemesis: for a while it does everything at once to one field, as its seed says, then lets all jobs end."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx

from app.queue.enqueue import Doorbell
from app.schemas.jobs import TERMINAL
from app.store import jobs
from tests.faults.field import Field
from tests.faults.patience import slowness
from tests.faults.processes import Member
from tests.faults.recipes import Recipe
from tests.faults.stores import GARBAGE, broker_client, kept, spoil

PLENTY = "1000"
"""Crashes a job is allowed here: this is about what faults break, not about giving up."""
CREW = (("default", "cpu"), ("default", "gpu"))
"""The queues of each worker."""


class Nemesis:
    """A seeded sequence of faults and of clients' wishes."""

    def __init__(self, field: Field, seed: int) -> None:
        self._field = field
        self._random = random.Random(seed)
        self._crew: list[Member] = []
        self._frozen: list[tuple[float, Member]] = []
        self._bell = Doorbell(field.broker.url)

    def rage(self, seconds: float) -> None:
        """Hurt the field for so long, then heal it and wait for every job."""
        self._api()
        self._crew = [self._field.worker(queues=queues) for queues in CREW]
        end = time.monotonic() + seconds
        for fault in self._plan():
            if time.monotonic() > end:
                break
            self._wake(time.monotonic())
            if done := fault():
                self._field.note(done)
            time.sleep(self._random.uniform(0.1, 0.5))
        self._heal()
        self._field.until(self._all_ended, "every job ends", 60.0)

    def _all_ended(self) -> bool:
        counts = self._field.database.run(jobs.counts)
        return not counts.keys() - TERMINAL

    def _plan(self) -> Iterator[Callable[[], str]]:
        faults = {
            self._submit: 15,
            self._kill_child: 8,
            self._kill_worker: 5,
            self._freeze_worker: 4,
            self._drain_worker: 5,
            self._cancel: 4,
            self._stop: 4,
            self._flush: 4,
            self._kill_broker: 3,
            self._garbage: 3,
            self._ring: 6,
            self._damage: 6,
            self._kill_api: 3,
        }
        while True:
            yield self._random.choices(list(faults), list(faults.values()))[0]

    def _submit(self) -> str:
        steps, every = self._random.randint(3, 40), self._random.randint(2, 8)
        queue, priority = self._random.choice(("default", "cpu", "gpu")), self._random.randint(-5, 5)
        wishes = {"queue": queue, "priority": priority}
        recipe = Recipe(steps=steps, every=every, pace=0.02, mode="anything", wishes=wishes)
        with suppress(httpx.TransportError):  # unknown: the checker wants one job of it at most
            self._field.submit_once(recipe)
        return ""

    def _kill_child(self) -> str:
        worker = self._anyone()
        for child in worker.children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        return "training processes killed"

    def _kill_worker(self) -> str:
        self._replace(lambda worker: worker.kill())
        return "workers killed"

    def _drain_worker(self) -> str:
        self._replace(lambda worker: worker.signal(signal.SIGTERM))
        return "workers drained"

    def _replace(self, end: Callable[[Member], None]) -> None:
        place = self._random.randrange(len(CREW))
        end(self._crew[place])
        self._crew[place] = self._field.worker(queues=CREW[place])

    def _freeze_worker(self) -> str:
        worker = self._anyone()
        if all(worker is not frozen for _, frozen in self._frozen):
            self._field.freeze(worker)
            self._frozen.append(
                (time.monotonic() + self._random.uniform(0.2, 1.75) * self._field.lease_seconds, worker)
            )
            return "worker frozen"
        return ""

    def _wake(self, now: float) -> None:
        for due, worker in list(self._frozen):
            if due <= now:
                worker.thaw()
                self._frozen.remove((due, worker))

    def _cancel(self) -> str:
        return self._ask("cancel")

    def _stop(self) -> str:
        return self._ask("stop")

    def _ask(self, verb: str) -> str:
        if not self._field.accepted:
            return ""
        with suppress(httpx.TransportError):
            self._field.client.post(f"/jobs/{self._random.choice(list(self._field.accepted))}/{verb}")
        return f"{verb} asked for"

    def _flush(self) -> str:
        with suppress(Exception), broker_client(self._field) as client:
            client.flushall()
        return "broker flushed"

    def _kill_broker(self) -> str:
        if (pid := self._field.broker.pid) is not None:
            os.kill(pid, signal.SIGKILL)
        return "broker killed"

    def _garbage(self) -> str:
        with suppress(Exception), broker_client(self._field) as client:
            client.lpush("ts:default", self._random.choice(GARBAGE))
        return "garbage messages"

    def _ring(self) -> str:
        for job_id in list(self._field.accepted)[-5:]:
            self._bell.ring(job_id)
        return "false rings"

    def _damage(self) -> str:
        for job_id in list(self._field.accepted)[-5:]:
            with suppress(OSError, IndexError):
                spoil(kept(self._field, job_id)[-1].with_name("state.json"), "flip")
                return "checkpoints damaged"
        return ""

    def _kill_api(self) -> str:
        assert self._field.serving is not None
        self._field.serving.kill()
        self._api()
        return "API killed"

    def _api(self) -> None:
        self._field.api(MAX_ATTEMPTS=PLENTY)

    def _anyone(self) -> Member:
        return self._random.choice(self._crew)

    def _heal(self) -> None:
        self._wake(float("inf"))
        self._bell.close()
        time.sleep(0.2 * slowness())
        self._crew = [
            worker if worker.alive else self._field.worker(queues=queues)
            for worker, queues in zip(self._crew, CREW, strict=True)
        ]
