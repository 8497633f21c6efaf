"""The API on a real port, with its store at hand, so that a test can play the worker."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn

from app.artifacts.store import open_store
from app.main import create_app
from app.schemas.jobs import Progress, WorkerRef
from app.settings import Settings
from app.store import jobs
from app.store.attempts import Recorded, record, start_phase
from app.store.claims import Claim
from app.store.engine import Database
from app.store.events import NewEvent
from tests.app.api.conftest import publish_version

METRICS = {"loss": 0.5, "accuracy": 0.75, "f1_macro": 0.7}


class LiveService:
    """A running API; ``url`` is where."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self.database = Database(settings.resolved_database_url)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start on the port of the last time, if there was one."""
        config = uvicorn.Config(
            create_app(self._settings),
            host="127.0.0.1",
            port=self._port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=0,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self._port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Stop, with streams cut off, as in a deployment."""
        assert self._server is not None and self._thread is not None
        self._server.should_exit = True
        self._thread.join()

    def do(self, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run one verb of the store."""
        return self.database.run(lambda session: verb(session, *args, **kwargs))

    def claim(self, job_id: str) -> Claim:
        """Take a job as a worker does."""
        claim = self.do(
            jobs.claim, job_id, owner="wrk_1", queues=["default"], lease_seconds=60, worker=WorkerRef(id="wrk_1")
        )
        assert isinstance(claim, Claim)
        return claim

    def tell(self, claim: Claim, *events: NewEvent) -> None:
        """Write events as a worker does."""
        assert self.do(record, claim, Recorded(events=events))

    def enter(self, claim: Claim, phase: str) -> None:
        """Begin a phase as a worker does."""
        assert self.do(start_phase, claim, phase)

    def fail(self, claim: Claim) -> None:
        """End a job badly."""
        error = {"code": "diverged", "detail": "The loss is not a number.", "remedy": "Halve learning_rate."}
        assert self.do(jobs.fail, claim, error, "Training diverged.")

    def publish(self, job_id: str, model: str) -> int:
        """Finish a queued job with a version that was never trained."""
        artifacts = open_store(self._settings.resolved_artifacts_url)
        return publish_version(self.database, artifacts, job_id, model, self._settings.data_dir / "bundles" / job_id)


def training_events(steps: Sequence[int], *, total: int) -> list[NewEvent]:
    """Make the events of a run: a step and an evaluation at each of ``steps``, the last but one the best."""
    best = steps[-2]
    made = [NewEvent("resolved", {"total_steps": total, "device": "cpu", "resolutions": []})]
    for step in steps:
        progress = Progress(
            step=step, total_steps=total, loss=1 / step, learning_rate=5e-5, epoch=step / 10, examples_per_second=40.0
        )
        made.append(NewEvent("step", progress.model_dump(mode="json")))
        scores = {"metric_name": "f1_macro", "metric_value": 0.7, "metrics": METRICS, "improved": step <= best}
        made.append(NewEvent("evaluated", {"step": step, "epoch": step / 10, "split": "validation", **scores}))
    return made


@contextmanager
def live_service(settings: Settings) -> Iterator[LiveService]:
    """Run the API for a while."""
    service = LiveService(settings)
    service.start()
    try:
        yield service
    finally:
        service.stop()
        service.database.close()
