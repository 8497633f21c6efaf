"""The Python client of the HTTP API; the command line is written on it.

with Tunesmith() as service:
    dataset = service.upload_dataset("messages.csv")
    job = service.wait(service.train("customer-messages", dataset).id)
    print(service.predict("customer-messages", "Where is my parcel?").predictions[0].label)
"""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel

from app.event_stream import read_messages
from app.ids import is_id
from app.schemas.artifacts import JobArtifact
from app.schemas.batches import BatchPrediction, BatchRequest, ResultFormat
from app.schemas.datasets import Dataset, FileFormat
from app.schemas.diffs import VersionDiff
from app.schemas.evaluations import EvaluationRequest, JudgedSplit, VersionEvaluation
from app.schemas.feedback import LoggedPrediction
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.jobs import TERMINAL, Job, JobEvent, TrainJobRequest
from app.schemas.live import Live
from app.schemas.models import Alias, Model, Version, VersionSummary
from app.schemas.pages import Page
from app.schemas.plans import JobPlan
from app.schemas.predictions import PredictRequest, PredictResponse, Prefer
from app.schemas.promotions import AliasMoved, AliasPolicy, Promotion, PromotionPolicy, RolledBack
from app.schemas.retention import PruneResult
from app.schemas.sources import Import, ImportRequest
from app.schemas.traffic import AliasTraffic, TrafficReport, TrafficWish
from app.transport import ApiError, ClientError, Misconfigured, Transport, Unreachable, pauses

__all__ = ["ApiError", "ClientError", "Misconfigured", "Tunesmith", "Unreachable"]

DEFAULT_URL = "http://127.0.0.1:8000"
PAGE_SIZE = 100
# The service sends a sign of life more often than this; silence means that the connection is dead.
STREAM_TIMEOUT = 45.0
LONG_POLL_SECONDS = 20.0

Answer = TypeVar("Answer", bound=BaseModel)


class Tunesmith:
    """One service, at ``url`` (or TUNESMITH_URL), with ``api_key`` (or TUNESMITH_API_KEY) where it wants one.

    Raises Misconfigured for an address or a key that cannot be sent. Every method raises ApiError when the service
    refuses, and Unreachable when it does not answer. What is safe to
    repeat is repeated for ``retry_seconds`` when the service is busy or the connection breaks; creating is safe too,
    because every POST carries an Idempotency-Key.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        retry_seconds: float = 20.0,
    ) -> None:
        self.url = (url or os.environ.get("TUNESMITH_URL") or DEFAULT_URL).rstrip("/")
        self._transport = Transport(
            self.url,
            api_key or os.environ.get("TUNESMITH_API_KEY") or None,
            timeout=timeout,
            retry_seconds=retry_seconds,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def has_key(self) -> bool:
        """Say whether requests carry a key."""
        return self._transport.has_key

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def ready(self) -> bool:
        """Say whether the service takes requests now, without waiting for it."""
        try:
            with self._transport.stream("/readyz", headers={}, timeout=5.0) as response:
                return response.is_success
        except ClientError:
            return False

    # Datasets

    def upload_dataset(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        text_column: str | None = None,
        label_column: str | None = None,
        split_column: str | None = None,
        label_delimiter: str | None = None,
        difficulty_column: str | None = None,
        label_names: Sequence[str] | Mapping[str, str] | None = None,
        format: FileFormat | None = None,
        validation_fraction: float | None = None,
        test_fraction: float | None = None,
        seed: int | None = None,
    ) -> Dataset:
        """Upload a CSV, TSV, JSON, JSONL or Parquet file; what is left out stays as the service has it by default."""
        options = {
            "name": name,
            "text_column": text_column,
            "label_column": label_column,
            "split_column": split_column,
            "label_delimiter": label_delimiter,
            "difficulty_column": difficulty_column,
            "label_names": None if label_names is None else json.dumps(label_names),
            "format": format,
            "validation_fraction": validation_fraction,
            "test_fraction": test_fraction,
            "seed": seed,
        }
        fields = {field: str(value) for field, value in options.items() if value is not None}
        with Path(path).open("rb") as file:
            return self._post(Dataset, "/datasets", files={"file": (Path(path).name, file)}, data=fields)

    def datasets(self, *, limit: int | None = None) -> Iterator[Dataset]:
        """Go through the datasets, newest first."""
        return self._pages(Dataset, "/datasets", limit)

    def dataset(self, dataset_id: str) -> Dataset:
        """Get one dataset."""
        return self._get(Dataset, f"/datasets/{dataset_id}")

    def import_dataset(self, source: Mapping[str, Any], *, name: str | None = None) -> Import:
        """Have a worker fetch a dataset; ``source`` is the ``from`` of ImportRequest: ``{"source": "twitter"}``."""
        request = ImportRequest.model_validate({"name": name, "from": dict(source)})
        body = request.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return self._post(Import, "/datasets/import", json=body)

    def imports(self, *, limit: int | None = None) -> Iterator[Import]:
        """Go through the imports, newest first."""
        return self._pages(Import, "/datasets/imports", limit)

    def wait_for_import(self, import_id: str, *, seconds: float = LONG_POLL_SECONDS) -> Import:
        """Get an import when it has ended, or after ``seconds``, at most a minute."""
        headers = {"Prefer": f"wait={math.ceil(seconds)}"}
        return self._get(Import, f"/datasets/imports/{import_id}", headers=headers)

    # Jobs

    def train(
        self,
        model: str,
        dataset: Dataset | str,
        *,
        hyperparameters: Hyperparameters | Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Job:
        """Queue a training job; ``fields`` are those of TrainJobRequest, ``base_model`` for one."""
        return self._post(Job, "/jobs", json=_request(model, dataset, hyperparameters, fields))

    def validate(
        self,
        model: str,
        dataset: Dataset | str,
        *,
        hyperparameters: Hyperparameters | Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> JobPlan:
        """Say what ``train`` with the same arguments would run, and run nothing."""
        return self._post(JobPlan, "/jobs/validate", json=_request(model, dataset, hyperparameters, fields))

    def jobs(self, *, limit: int | None = None, **filters: str) -> Iterator[Job]:
        """Go through the jobs, newest first; filters: status, model, dataset_id, created_after."""
        return self._pages(Job, "/jobs", limit, filters)

    def job(self, job_id: str) -> Job:
        """Get one job."""
        return self._get(Job, f"/jobs/{job_id}")

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

    def cancel(self, job_id: str) -> Job:
        """Ask a job to end; a running one ends within seconds."""
        return self._post(Job, f"/jobs/{job_id}/cancel")

    def stop(self, job_id: str) -> Job:
        """Ask a running job to end its training and make a version of its best checkpoint so far."""
        return self._post(Job, f"/jobs/{job_id}/stop")

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

    def wait(self, job_id: str, *, timeout: float | None = None) -> Job:
        """Wait until a job has ended, and get it. Raises TimeoutError."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            left = max(0.0, min(LONG_POLL_SECONDS, deadline - time.monotonic()))
            job = self._get(Job, f"/jobs/{job_id}", headers={"Prefer": f"wait={math.ceil(left)}"})
            if job.status in TERMINAL:
                return job
            if time.monotonic() > deadline:
                raise TimeoutError(f"{job_id} is still {job.status} after {timeout:g} s")

    # Models

    def models(self, *, limit: int | None = None) -> Iterator[Model]:
        """Go through the models of the registry."""
        return self._pages(Model, "/models", limit)

    def model(self, name: str) -> Model:
        """Get one model with its aliases."""
        return self._get(Model, f"/models/{name}")

    def versions(self, name: str) -> list[VersionSummary]:
        """Get a model's versions, newest first."""
        return self._get(Page[VersionSummary], f"/models/{name}/versions").data

    def version(self, name: str, number: int) -> Version:
        """Get everything about one version."""
        return self._get(Version, f"/models/{name}/versions/{number}")

    def download(self, name: str, number: int, place: Path | str) -> Path:
        """Download the archive of a version to the file ``place``, which is complete as soon as it exists."""
        return self._transport.download(f"/models/{name}/versions/{number}/archive", Path(place))

    def diff(self, name: str, one: int, other: int, *, examples: int = 20) -> VersionDiff:
        """Compare two versions of a model."""
        params = {"from": str(one), "to": str(other), "examples": str(examples)}
        return self._get(VersionDiff, f"/models/{name}/diff", params=params)

    def delete_version(self, name: str, number: int) -> None:
        """Delete a version that nothing needs."""
        self._transport.send("DELETE", f"/models/{name}/versions/{number}")

    def prune(self, name: str, keep_last: int, *, dry_run: bool = False) -> PruneResult:
        """Delete all but the newest versions, and those that are needed; or only say which would go."""
        return self._post(PruneResult, f"/models/{name}/prune", json={"keep_last": keep_last, "dry_run": dry_run})

    def set_alias(
        self, name: str, alias: str, version: int, *, force: bool = False, reason: str | None = None
    ) -> Alias:
        """Point an alias at a version; ``champion`` is what a plain model name means.

        Raises ApiError ``promotion-blocked`` when its policy says no; ``force`` with a ``reason`` moves all the same.
        """
        wish: dict[str, Any] = {"version": version}
        wish |= {"force": True} if force else {}
        wish |= {} if reason is None else {"reason": reason}
        answer = self._transport.send("PUT", f"/models/{name}/aliases/{alias}", json=wish)
        return Alias.model_validate_json(answer.content)

    def check_alias(self, name: str, alias: str, version: int) -> Promotion:
        """Ask whether an alias may be moved, and move nothing."""
        return self._post(Promotion, f"/models/{name}/aliases/{alias}/check", json={"version": version})

    def roll_back(self, name: str, alias: str, *, reason: str | None = None) -> RolledBack:
        """Point an alias at the version that it named before."""
        params = {} if reason is None else {"reason": reason}
        return self._post(RolledBack, f"/models/{name}/aliases/{alias}/rollback", params=params)

    def alias_history(self, name: str, alias: str, *, limit: int | None = None) -> Iterator[AliasMoved]:
        """Go through the moves of an alias, newest first."""
        return self._pages(AliasMoved, f"/models/{name}/aliases/{alias}/history", limit)

    def policy(self, name: str, alias: str) -> AliasPolicy:
        """Get what a version must keep before an alias may name it."""
        return self._get(AliasPolicy, f"/models/{name}/aliases/{alias}/policy")

    def set_policy(self, name: str, alias: str, policy: PromotionPolicy | Mapping[str, Any]) -> AliasPolicy:
        """Say what a version must keep before an alias may name it."""
        wish = PromotionPolicy.model_validate(policy).model_dump(mode="json", exclude_unset=True)
        answer = self._transport.send("PUT", f"/models/{name}/aliases/{alias}/policy", json=wish)
        return AliasPolicy.model_validate_json(answer.content)

    def traffic(self, name: str, alias: str) -> AliasTraffic:
        """Get how the calls of an alias are split; raises ApiError ``traffic-not-found`` where they are not."""
        return self._get(AliasTraffic, f"/models/{name}/aliases/{alias}/traffic")

    def set_traffic(self, name: str, alias: str, wish: TrafficWish | Mapping[str, Any]) -> AliasTraffic:
        """Split the calls of an alias; what was said before is replaced."""
        body = TrafficWish.model_validate(wish).model_dump(mode="json", exclude_unset=True)
        answer = self._transport.send("PUT", f"/models/{name}/aliases/{alias}/traffic", json=body)
        return AliasTraffic.model_validate_json(answer.content)

    def traffic_report(self, name: str, alias: str) -> TrafficReport:
        """Get what the shadows of an alias would have said."""
        return self._get(TrafficReport, f"/models/{name}/aliases/{alias}/traffic/report")

    def live(self, name: str, number: int, *, hours: int = 24, windows: int = 7) -> Live:
        """Get how a version does on real calls: accuracy by feedback, and drift by windows of so many hours."""
        params = {"hours": str(hours), "windows": str(windows)}
        return self._get(Live, f"/models/{name}/versions/{number}/live", params=params)

    def clear_traffic(self, name: str, alias: str, *, reason: str | None = None) -> None:
        """Let the version that an alias names answer all its calls again."""
        params = {} if reason is None else {"reason": reason}
        self._transport.send("DELETE", f"/models/{name}/aliases/{alias}/traffic", params=params)

    def delete_policy(self, name: str, alias: str) -> None:
        """Let an alias name any version again."""
        self._transport.send("DELETE", f"/models/{name}/aliases/{alias}/policy")

    def predict(
        self,
        model: str,
        inputs: str | Sequence[str],
        *,
        top_k: int | None = None,
        return_all_scores: bool = False,
        prefer: Prefer | None = None,
        routing_key: str | None = None,
    ) -> PredictResponse:
        """Classify texts with NAME, NAME@ALIAS or NAME:VERSION.

        Where an alias has a canary, the same ``routing_key`` is answered by the same version.
        """
        texts = inputs if isinstance(inputs, str) else list(inputs)
        request = PredictRequest(
            model=model,
            inputs=texts,
            top_k=top_k,
            return_all_scores=return_all_scores,
            prefer=prefer,
            routing_key=routing_key,
        )
        # Asking twice changes nothing, so there is nothing for the service to remember.
        answer = self._transport.send(
            "POST", "/predict", json=request.model_dump(exclude_defaults=True), idempotent=False
        )
        return PredictResponse.model_validate_json(answer.content)

    def feedback(
        self, prediction_id: str, *, label: str | None = None, labels: Sequence[str] | None = None
    ) -> LoggedPrediction:
        """Say what the right label, or of a multi-label version all right labels, of a logged answer was."""
        said = {"label": label} if labels is None else {"labels": list(labels)}
        return self._post(LoggedPrediction, f"/predictions/{prediction_id}/feedback", json=said)

    def predictions(
        self, name: str, *, version: int | None = None, judged: bool | None = None, limit: int | None = None
    ) -> Iterator[LoggedPrediction]:
        """Go through the logged answers of a model, newest first; ``judged``: only those with, or without, feedback."""
        wishes = {"version": version, "judged": None if judged is None else str(judged).lower()}
        params = {key: str(value) for key, value in wishes.items() if value is not None}
        return self._pages(LoggedPrediction, f"/models/{name}/predictions", limit, params)

    # Batch predictions

    def batch_predict(
        self,
        model: str,
        texts: Dataset | Path | str,
        *,
        text_column: str | None = None,
        format: FileFormat | None = None,
        top_k: int | None = None,
        return_all_scores: bool = False,
    ) -> BatchPrediction:
        """Have a worker classify the texts of a stored dataset (or ``"ds_..."``), or of a file on this machine."""
        if isinstance(texts, Dataset) or (isinstance(texts, str) and is_id(texts, "ds")):
            dataset_id = texts.id if isinstance(texts, Dataset) else texts
            request = BatchRequest(model=model, dataset_id=dataset_id, top_k=top_k, return_all_scores=return_all_scores)
            return self._post(BatchPrediction, "/batch-predictions", json=request.model_dump(mode="json"))
        wishes = {"model": model, "text_column": text_column, "format": format, "top_k": top_k}
        fields = {field: str(value) for field, value in wishes.items() if value is not None}
        fields["return_all_scores"] = "true" if return_all_scores else "false"
        with Path(texts).open("rb") as file:
            sent = {"file": (Path(texts).name, file)}
            return self._post(BatchPrediction, "/batch-predictions", files=sent, data=fields)

    def batches(self, *, limit: int | None = None) -> Iterator[BatchPrediction]:
        """Go through the batch predictions, newest first."""
        return self._pages(BatchPrediction, "/batch-predictions", limit)

    def batch(self, batch_id: str, *, seconds: float = 0.0) -> BatchPrediction:
        """Get a batch prediction, at once, or when it has ended or ``seconds`` are over, at most a minute."""
        headers = {"Prefer": f"wait={math.ceil(seconds)}"} if seconds > 0 else {}
        return self._get(BatchPrediction, f"/batch-predictions/{batch_id}", headers=headers)

    def cancel_batch(self, batch_id: str) -> BatchPrediction:
        """Ask a batch prediction to end; a running one ends within seconds."""
        return self._post(BatchPrediction, f"/batch-predictions/{batch_id}/cancel")

    def evaluate(
        self, model: str, version: int, dataset: Dataset | str, *, split: JudgedSplit = "test", task: str | None = None
    ) -> VersionEvaluation:
        """Have a worker judge a version on the rows of a stored dataset (or ``"ds_..."``)."""
        dataset_id = dataset.id if isinstance(dataset, Dataset) else dataset
        request = EvaluationRequest(dataset_id=dataset_id, split=split, task=task)
        place = f"/models/{model}/versions/{version}/evaluations"
        return self._post(VersionEvaluation, place, json=request.model_dump(mode="json"))

    def evaluation(self, found: VersionEvaluation, *, seconds: float = 0.0) -> VersionEvaluation:
        """Get an evaluation again, at once, or when it has ended or ``seconds`` are over, at most a minute."""
        headers = {"Prefer": f"wait={math.ceil(seconds)}"} if seconds > 0 else {}
        return self._get(VersionEvaluation, found.links["self"], headers=headers)

    def evaluations(self, model: str, version: int, *, limit: int | None = None) -> Iterator[VersionEvaluation]:
        """Go through the evaluations of a version, newest first."""
        return self._pages(VersionEvaluation, f"/models/{model}/versions/{version}/evaluations", limit)

    def download_answers(self, batch_id: str, place: Path | str, *, format: ResultFormat = "jsonl") -> Path:
        """Write the answers of a batch prediction to a file, which is complete as soon as it exists."""
        return self._transport.download(f"/batch-predictions/{batch_id}/results?format={format}", Path(place))

    def _get(self, kind: type[Answer], path: str, **request: Any) -> Answer:
        return kind.model_validate_json(self._transport.send("GET", path, **request).content)

    def _post(self, kind: type[Answer], path: str, **body: Any) -> Answer:
        return kind.model_validate_json(self._transport.send("POST", path, **body).content)

    def _pages(
        self, kind: type[Answer], path: str, limit: int | None, filters: Mapping[str, str] | None = None
    ) -> Iterator[Answer]:
        params = dict(filters or {}) | {"limit": str(min(limit or PAGE_SIZE, PAGE_SIZE))}
        given = 0
        while True:
            page = self._get(Page[kind], path, params=params)  # type: ignore[valid-type]
            for item in page.data:
                yield item
                given += 1
                if given == limit:
                    return
            if not page.has_more or page.next_cursor is None:
                return
            params["cursor"] = page.next_cursor

    def _stream(self, job_id: str, after: int) -> Iterator[JobEvent]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
        with self._transport.stream(f"/jobs/{job_id}/events", headers=headers, timeout=STREAM_TIMEOUT) as response:
            for message in read_messages(response.iter_text()):
                yield JobEvent.model_validate_json(message.data)


def _request(
    model: str,
    dataset: Dataset | str,
    hyperparameters: Hyperparameters | Mapping[str, Any] | None,
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    given = dict(fields) if hyperparameters is None else {**fields, "hyperparameters": hyperparameters}
    dataset_id = dataset if isinstance(dataset, str) else dataset.id
    request = TrainJobRequest(model=model, dataset_id=dataset_id, **given)
    return request.model_dump(mode="json", exclude_unset=True)


def _ends(event: JobEvent) -> bool:
    return event.type == "status" and event.data.get("to") in TERMINAL
