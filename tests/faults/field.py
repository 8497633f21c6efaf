"""A field: one whole service of real processes on its own database, broker and folder, to be hurt and then examined."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.artifacts.file import FileStore
from app.queue.embedded import EmbeddedBroker
from app.schemas.jobs import TERMINAL
from app.store import events, jobs, tables
from app.store.engine import Database
from scripts.own_service import free_port
from tests.conftest import PostgresServer
from tests.faults import dataset, failpoints
from tests.faults.patience import slowness
from tests.faults.processes import Member, Role, processes
from tests.faults.recipes import Recipe
from tests.processes import can_write

LEASE_SECONDS = 3.0
SETTINGS = {
    "HEARTBEAT_SECONDS": "0.5",
    "POLL_SECONDS": "1",
    "SWEEP_SECONDS": "1",
    "WARM_SPARE": "false",
    "WORKER_THREADS": "1",
    "TRACKERS": "[]",
    "HUB_ENABLED": "false",
    "LOG_FORMAT": "json",
}
ANSWER_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 0.15


@dataclass(frozen=True)
class Accepted:
    """A job that the service has promised to run."""

    id: str
    recipe: Recipe


class Twin:
    """The weights of a training that nothing disturbed, made once for all fields: it takes many seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._weights = ""

    def weights(self, make: Callable[[], str]) -> str:
        """Give their hash; the first one to ask makes them."""
        with self._lock:
            self._weights = self._weights or make()
            return self._weights


class Field:
    """Starts, hurts and questions one service; ``close`` leaves nothing running."""

    def __init__(
        self, folder: Path, database_url: str, *, base_model: Path, twin: Twin, server: PostgresServer | None = None
    ) -> None:
        self.folder = folder
        self.database = Database(database_url)
        self.database_url = database_url
        self.artifacts = FileStore(folder / "artifacts")
        self.broker = EmbeddedBroker(folder)
        self.members: list[Member] = []
        self.accepted: dict[str, Accepted] = {}
        self.injected: list[str] = []
        self.twin = twin
        self.wanted: dict[str, str] = {}
        """By job, the hash of the weights it must end with."""
        self._base_model = base_model
        self._server = server
        self._port = free_port()
        self.serving: Member | None = None
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=ANSWER_SECONDS, trust_env=False)
        (folder / "journal").mkdir()
        dataset.keep(self.artifacts.root)
        self.broker.start()

    @property
    def server(self) -> PostgresServer:
        """Give the database server that is this field's alone."""
        assert self._server is not None
        return self._server

    # Processes

    def note(self, fault: str) -> None:
        """Remember what was injected, for the table."""
        self.injected.append(fault)

    def start(self, role: Role, failpoint: str = "", queues: Sequence[str] = ("default",), **changes: str) -> Member:
        """Start one process, with a trap in it or with other settings."""
        number = len(self.members)
        environment = {
            "TUNESMITH_DATA_DIR": str(self.folder),
            "TUNESMITH_DATABASE_URL": self.database_url,
            "TUNESMITH_ARTIFACTS_URL": self.artifacts.root.as_uri(),
            "TUNESMITH_BASE_MODELS": json.dumps({"tiny": str(self._base_model)}),
            "TUNESMITH_PORT": str(self._port),
            failpoints.VARIABLE: failpoint,
            **{f"TUNESMITH_{name}": value for name, value in (SETTINGS | self._pace() | changes).items()},
        }
        member = Member(role, environment, self.folder / f"{number}-{role}.log", queues)
        self.members.append(member)
        return member

    def freeze(self, member: Member) -> None:
        """Freeze a process where it holds no lock of SQLite, which is one for all: with it, all others would wait."""
        member.freeze()
        while not can_write(self.database_url):
            member.thaw()
            time.sleep(0.02)
            member.freeze()

    @property
    def lease_seconds(self) -> float:
        """Give how long a silent worker keeps its job."""
        return LEASE_SECONDS * slowness()

    def _pace(self) -> dict[str, str]:
        return {
            "LEASE_SECONDS": f"{self.lease_seconds:.1f}",
            "STALL_SECONDS": f"{20 * slowness():.1f}",
            "CANCEL_GRACE_SECONDS": f"{slowness():.1f}",
            "DRAIN_GRACE_SECONDS": f"{slowness():.1f}",
        }

    def worker(self, failpoint: str = "", queues: Sequence[str] = ("default",), **changes: str) -> Member:
        """Start a worker."""
        return self.start("worker", failpoint, queues, **changes)

    def api(self, failpoint: str = "", **changes: str) -> Member:
        """Start the API, in place of one that has ended, and wait until it answers."""
        member = self.serving = self.start("api", failpoint, **changes)
        self.until(self._answers, "the API answers")
        return member

    def _answers(self) -> bool:
        assert self.serving is not None
        assert self.serving.alive, self.serving.tail()
        try:
            return self.client.get("/healthz", timeout=2.0).status_code == 200
        except httpx.TransportError:
            return False

    # Jobs

    def release(self, job_id: str) -> None:
        """Let a job that holds at its step go on."""
        (self.folder / "journal" / f"{self.accepted[job_id].recipe.number}.go").touch()

    def hold(self, recipe: Recipe) -> str:
        """Submit a job and wait until it holds where its recipe says."""
        (job_id,) = self.submit(recipe)
        self.until_job(job_id, lambda job: job.attempt == 1 and job.progress.get("step") == recipe.hold)
        return job_id

    def submit(self, *recipes: Recipe) -> list[str]:
        """Post jobs as a careful client does: with a key, and again until there is an answer."""
        return [self._post(recipe or Recipe()) for recipe in recipes or (Recipe(),)]

    def _post(self, recipe: Recipe) -> str:
        deadline = time.monotonic() + ANSWER_SECONDS * slowness()
        while True:
            with suppress(httpx.TransportError):
                answer = self.submit_once(recipe)
                if answer.status_code == 201:
                    return str(answer.json()["id"])
                assert answer.status_code in (429, 503), answer.text
            assert time.monotonic() < deadline, "no answer"
            time.sleep(0.1)

    def submit_once(self, recipe: Recipe) -> httpx.Response:
        """Post a job; what comes of it is unknown when there is no answer. Raises httpx.TransportError."""
        journal = self.folder / "journal" / str(recipe.number)
        body = recipe.request(dataset.ID, str(journal))
        answer = self.client.post("/jobs", json=body, headers={"Idempotency-Key": f"key-{recipe.number}"})
        if answer.status_code == 201:
            self.accepted[answer.json()["id"]] = Accepted(answer.json()["id"], recipe)
        return answer

    def job(self, job_id: str) -> tables.Job:
        """Read a job's row."""
        with self.database.transaction(read_only=True) as session:
            found = jobs.get(session, job_id)
        assert found is not None
        return found

    def events(self, job_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Read a job's history."""
        found = self.database.run(lambda session: events.after(session, job_id, 0, 10_000))
        return [(event.type, event.data) for event in found]

    def wait(self, *job_ids: str, seconds: float = 40.0) -> list[tables.Job]:
        """Wait until these jobs, else all, have ended."""
        wanted = job_ids or tuple(self.accepted)
        for job_id in wanted:
            self.until_job(job_id, lambda job: job.status in TERMINAL, seconds)
        return [self.job(job_id) for job_id in wanted]

    def succeeded(self, job_id: str, *, attempt: int, crashes: int) -> None:
        """Wait for a job and make sure that it took just these attempts."""
        (job,) = self.wait(job_id)
        found = (job.status, job.attempt, job.crash_count)
        assert found == ("succeeded", attempt, crashes), (found, job.error, job.status_reason)

    def until_job(self, job_id: str, right: Callable[[tables.Job], bool], seconds: float = 30.0) -> None:
        """Wait until a job is as it should be."""
        self.until(lambda: right(self.job(job_id)), f"{job_id}", seconds)

    def until(self, true: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
        """Wait for something, and ask more and more seldom: what waits takes time from what it waits for."""
        deadline, pause = time.monotonic() + seconds * slowness(), 0.03
        while not true():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self._tails()}"
            time.sleep(pause)
            pause = min(1.2 * pause, LONGEST_PAUSE_SECONDS)

    def _tails(self) -> str:
        return "\n".join(f"--- {member.log.name}\n{member.tail()}" for member in self.members[-3:])

    # The end

    def end_workers(self) -> None:
        """End every process of the service in order, before its traces are read."""
        enders = [threading.Thread(target=self._end, args=(member,)) for member in self.members if member.alive]
        for thread in enders:
            thread.start()
        for thread in enders:
            thread.join()

    def close(self) -> None:
        """Leave nothing running."""
        self.end_workers()
        self.client.close()
        self.broker.stop()

    def _end(self, member: Member) -> None:
        member.thaw()
        try:
            member.stop(30.0 * slowness())
        except AssertionError:
            member.kill()

    def left_running(self) -> list[int]:
        """List the training processes of this field that outlived it."""
        return [pid for pid, _, line in processes() if b"worker.child" in line and self._owns(pid)]

    def _owns(self, pid: int) -> bool:
        try:
            return (Path("/proc") / str(pid) / "cwd").readlink().is_relative_to(self.folder)
        except OSError:
            return False
