"""Training jobs: queue one, follow it, ask it to end."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import PrivateAttr

from app.client.calls import LONG_POLL_SECONDS
from app.client.datasets import DatasetCalls
from app.client.showing import See, shown, words
from app.event_stream import read_messages
from app.schemas.artifacts import JobArtifact
from app.schemas.datasets import Dataset
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.job_events import JobEvent
from app.schemas.jobs import TERMINAL, Job, TrainJobRequest
from app.schemas.metrics import MetricPoint
from app.schemas.pages import Page
from app.schemas.plans import JobPlan
from app.transport import ApiError, Unreachable, pauses

# The service sends a sign of life more often than this; silence means that the connection is dead.
STREAM_TIMEOUT = 45.0
SHOWN_POLL_SECONDS = 1.0
"""Between two looks at a job whose progress is shown."""


class TrainingJob(Job):
    """A job as the service gave it, with what can be done to it; every field of Job is one of its own."""

    _service: "JobCalls" = PrivateAttr()

    def __repr__(self) -> str:
        """Say in a line which job this is and where it is: a notebook shows it below a cell."""
        return f"<{type(self).__name__} {self.id} {words(self)}>"

    def stream(self, *, after: int = 0) -> Iterator[JobEvent]:
        """Follow the history of the job until it ends, each event once and in order; then the fields are current."""
        yield from self._service.events(self.id, after=after)
        self.refresh()

    def wait(self, *, timeout: float | None = None, progress: bool | None = None) -> Self:
        """Wait until the job has ended; its fields are current then, ``status`` for one.

        Shows a bar in a terminal and in a notebook; ``progress`` says whether it is to. Ctrl-C ends the waiting, not
        the job. Raises TimeoutError.
        """
        with shown(self, progress) as see:
            look = LONG_POLL_SECONDS if see is None else SHOWN_POLL_SECONDS
            return self._take_over(self._service._wait(self.id, timeout, look, see))

    def refresh(self) -> Self:
        """Ask the service how the job is now; the fields are current then."""
        return self._take_over(self._service.job(self.id))

    def cancel(self) -> Self:
        """Ask the job to end; a running one ends within seconds."""
        return self._take_over(self._service.cancel(self.id))

    def stop(self) -> Self:
        """Ask the job to end its training and make a version of its best checkpoint so far."""
        return self._take_over(self._service.stop(self.id))

    def logs(self, *, tail: int | None = None) -> str:
        """Get the log so far, or its last lines."""
        return self._service.logs(self.id, tail=tail)

    def _take_over(self, found: Job) -> Self:
        for name in Job.model_fields:
            setattr(self, name, getattr(found, name))
        return self


class JobCalls(DatasetCalls):
    """Work that is queued, followed and ended."""

    def train(
        self,
        model: str,
        dataset: Dataset | Path | str,
        *,
        hyperparameters: Hyperparameters | Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> TrainingJob:
        """Queue a training job on a stored dataset (or ``"ds_..."``), or on a file, which is uploaded first.

        ``fields`` are those of TrainJobRequest: ``profile`` and ``base_model`` for two. Raises pydantic's
        ValidationError for a field that is not one.
        """
        request = _request(model, hyperparameters, fields)
        return self._bound(self._post(TrainingJob, "/jobs", json=request | {"dataset_id": self._dataset_id(dataset)}))

    def validate(
        self,
        model: str,
        dataset: Dataset | Path | str,
        *,
        hyperparameters: Hyperparameters | Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> JobPlan:
        """Say what ``train`` with the same arguments would run, and run nothing; a file is uploaded all the same."""
        request = _request(model, hyperparameters, fields)
        return self._post(JobPlan, "/jobs/validate", json=request | {"dataset_id": self._dataset_id(dataset)})

    def jobs(self, *, limit: int | None = None, **filters: str) -> Iterator[TrainingJob]:
        """Go through the jobs, newest first; filters: status, model, search, dataset_id, created_after."""
        return map(self._bound, self._pages(TrainingJob, "/jobs", limit, filters))

    def job(self, job_id: str) -> TrainingJob:
        """Get one job."""
        return self._bound(self._get(TrainingJob, f"/jobs/{job_id}"))

    def metrics(self, job_id: str, *, names: Sequence[str] = (), max_points: int | None = None) -> list[MetricPoint]:
        """Get the curves of a job as points, all of them or those named; ``max_points``: of each at most."""
        params: dict[str, Any] = {"names": list(names)} if names else {}
        params |= {} if max_points is None else {"max_points": str(max_points)}
        return self._get(Page[MetricPoint], f"/jobs/{job_id}/metrics", params=params).data

    def request(self, job_id: str) -> TrainJobRequest:
        """Get what a job was asked for, to run it again or a little differently."""
        return self._get(TrainJobRequest, f"/jobs/{job_id}/request")

    def report(self, job_id: str, format: Literal["json", "markdown", "html"] = "json") -> str:
        """Get the report of a job, as text in the form asked for; the JSON is app.schemas.reports.Report."""
        return self._transport.send("GET", f"/jobs/{job_id}/report", params={"format": format}).text

    def plot(self, job_id: str, name: str) -> str:
        """Get a plot of a job as SVG: loss, metrics, learning_rate, confusion_matrix and more."""
        return self._transport.send("GET", f"/jobs/{job_id}/plots/{name}.svg").text

    def logs(self, job_id: str, *, tail: int | None = None) -> str:
        """Get the log of a job so far, or its last lines."""
        params = {} if tail is None else {"tail": str(tail)}
        return self._transport.send("GET", f"/jobs/{job_id}/logs", params=params).text

    def artifacts(self, job_id: str) -> list[JobArtifact]:
        """Get the list of a job's files."""
        return self._get(Page[JobArtifact], f"/jobs/{job_id}/artifacts").data

    def download_artifact(self, artifact: JobArtifact, place: Path | str) -> Path:
        """Download one of a job's files to the file ``place``, which is complete as soon as it exists."""
        return self._transport.download(artifact.href, Path(place))

    def cancel(self, job_id: str) -> TrainingJob:
        """Ask a job to end; a running one ends within seconds."""
        return self._bound(self._post(TrainingJob, f"/jobs/{job_id}/cancel"))

    def stop(self, job_id: str) -> TrainingJob:
        """Ask a running job to end its training and make a version of its best checkpoint so far."""
        return self._bound(self._post(TrainingJob, f"/jobs/{job_id}/stop"))

    def events(self, job_id: str, *, after: int = 0, patience: float = 120.0) -> Iterator[JobEvent]:
        """Follow a job's history until it ends, each event once and in order.

        A broken connection is taken up again after the last event that came; Unreachable is raised when that fails
        for ``patience`` seconds.
        """
        heard, waits = time.monotonic(), pauses()
        while True:
            before = after
            try:
                for event in self._stream(job_id, after):
                    after, heard, waits = event.seq, time.monotonic(), pauses()
                    yield event
                    if _ends(event):
                        return
                # A stream without anything new: the job has ended before ``after``.
                if after == before and self.job(job_id).status in TERMINAL:
                    return
            except (Unreachable, ApiError) as error:
                if (isinstance(error, ApiError) and not error.retryable) or time.monotonic() - heard > patience:
                    raise
            time.sleep(next(waits))

    def wait(self, job_id: str, *, timeout: float | None = None) -> TrainingJob:
        """Wait until a job has ended, and get it. Raises TimeoutError."""
        return self._wait(job_id, timeout, LONG_POLL_SECONDS)

    def _wait(self, job_id: str, timeout: float | None, look: float, see: See | None = None) -> TrainingJob:
        """Look at a job every ``look`` seconds until it has ended; ``see`` is called with what was found."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            left = max(0.0, min(look, deadline - time.monotonic()))
            job = self._get(TrainingJob, f"/jobs/{job_id}", headers={"Prefer": f"wait={math.ceil(left)}"})
            if see is not None:
                see(job)
            if job.status in TERMINAL:
                return self._bound(job)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job_id} is still {job.status} after {timeout:g} s")

    def _bound(self, job: TrainingJob) -> TrainingJob:
        job._service = self
        return job

    def _dataset_id(self, dataset: Dataset | Path | str) -> str:
        if isinstance(dataset, Dataset):
            return dataset.id
        if isinstance(dataset, str) and dataset.startswith("ds_"):
            return dataset
        return self.upload_dataset(dataset).id

    def _stream(self, job_id: str, after: int) -> Iterator[JobEvent]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
        with self._transport.stream(f"/jobs/{job_id}/events", headers=headers, timeout=STREAM_TIMEOUT) as response:
            for message in read_messages(response.iter_text()):
                yield JobEvent.model_validate_json(message.data)


def _request(
    model: str, hyperparameters: Hyperparameters | Mapping[str, Any] | None, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """Check the fields of a job, so that a wrong one is told before anything is sent."""
    given = dict(fields) if hyperparameters is None else {**fields, "hyperparameters": hyperparameters}
    request = TrainJobRequest(model=model, dataset_id="", **given)
    return request.model_dump(mode="json", exclude_unset=True)


def _ends(event: JobEvent) -> bool:
    return event.type == "status" and event.data.get("to") in TERMINAL
