"""The registry: models, their versions, and what versions are judged by."""

import math
from collections.abc import Iterator
from pathlib import Path

from app.client.calls import Calls
from app.schemas.datasets import Dataset
from app.schemas.diffs import VersionDiff
from app.schemas.evaluations import EvaluationRequest, JudgedSplit, VersionEvaluation
from app.schemas.models import Model, Version, VersionSummary
from app.schemas.pages import Page
from app.schemas.retention import PruneResult


class ModelCalls(Calls):
    """Models and their numbered versions."""

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

    def card(self, name: str, number: int) -> str:
        """Read the model card of a version, Markdown."""
        return self._transport.send("GET", f"/models/{name}/versions/{number}/card").text

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
