"""Everything that can be found wrong with a job before it is queued; stores nothing."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.errors import FieldError, Unprocessable, nearest
from app.preflight.base_models import BaseModels
from app.preflight.estimate import estimate
from app.preflight.families import needs_base_model, unfit_options, unread_options
from app.preflight.fields import problem
from app.preflight.job_memory import memory_of
from app.preflight.memory import length_in_tokens
from app.preflight.problem_types import unfit_problem
from app.preflight.profiles import fill
from app.preflight.shapes import Shapes
from app.preflight.strict_json import pointer
from app.preflight.tasks import task_warnings, together, unfit_tasks
from app.schemas.datasets import DatasetProfile
from app.schemas.families import LONGEST_INPUT, FamilyOptions, HierarchicalOptions, MultitaskOptions, TextCNNOptions
from app.schemas.hyperparameters import Hyperparameters, Resolution
from app.schemas.jobs import BaseModelRef, ExportOptions, JobWarning, TrainJobRequest
from app.schemas.plans import Estimate, MemoryEstimate
from app.store import datasets, tables
from app.store.engine import Database

_NOT_FOR_JOBS = frozenset({"duplicate-texts", "no-validation-split", "unused-label-names"})
_RULE = "impossible-here"


@dataclass(frozen=True)
class Prepared:
    """A request that was found sound, with what it refers to pinned."""

    request: TrainJobRequest
    request_sha256: str
    dataset: tables.Dataset
    base_model: BaseModelRef
    estimate: Estimate
    warnings: list[JobWarning]
    resolutions: list[Resolution]
    """What came from the profile of the request."""
    data: DatasetProfile
    """Of the dataset; of several tasks, their datasets added up."""


class JobPreflight:
    """Checks a request against its dataset and pins its base model."""

    def __init__(self, database: Database, base_models: BaseModels, shapes: Shapes) -> None:
        self._database = database
        self._base_models = base_models
        self._shapes = shapes

    def prepare(self, request: TrainJobRequest) -> Prepared:
        """Check everything; raises Unprocessable with every broken rule, Unavailable ``hub-unreachable``."""
        dataset = self._dataset(request.dataset_id)
        profile, tasks = DatasetProfile.model_validate(dataset.profile), self._tasks(request.family)
        _need_validation(profile)
        data = together(profile, tasks)
        filled = fill(request, data)
        request = filled.request
        most = _sized(request, data)
        errors = [
            *unfit_options(request),
            *unfit_problem(request, profile),
            *unfit_tasks(request, profile, tasks),
            *_impossible(request.hyperparameters, profile, most),
        ]
        if errors:
            raise problem(errors)
        base_model = self._base_model(request)
        self._check_length(request, base_model)
        request = self._with_teacher(request)
        return Prepared(
            request=request,
            request_sha256=fingerprint(request.model_dump(mode="json")),
            dataset=dataset,
            base_model=base_model,
            estimate=_sized(request, data, self._length(request, base_model, data)),
            warnings=[
                *_about_data(profile, request.family),
                *task_warnings(tasks, _NOT_FOR_JOBS),
                *filled.warnings,
                *_about_export(request.export),
            ],
            resolutions=filled.resolutions,
            data=data,
        )

    def _with_teacher(self, request: TrainJobRequest) -> TrainJobRequest:
        """Pin the teacher of a distillation too: it must not change while the job waits."""
        options = request.hyperparameters.distillation
        if options is None:
            return request
        pinned = {"distillation": self._base_models.pin_teacher(options)}
        return request.model_copy(update={"hyperparameters": request.hyperparameters.model_copy(update=pinned)})

    def _base_model(self, request: TrainJobRequest) -> BaseModelRef:
        found = BaseModelRef(id="none", source="none")
        if needs_base_model(request):
            found = self._base_models.pin(request.base_model, request.family)
        if errors := list(unread_options(request, self._base_models.family_of(found))):
            raise problem(errors)
        return found

    def _check_length(self, request: TrainJobRequest, base_model: BaseModelRef) -> None:
        """Refuse texts longer than the base model can read, where that is known here; a worker knows in any case."""
        wished = {"/hyperparameters/max_length": request.hyperparameters.max_length}
        if isinstance(request.family, HierarchicalOptions):
            wished["/family/chunk_length"] = request.family.chunk_length
        lengths = {place: length for place, length in wished.items() if length != "auto"}
        if not lengths or isinstance(request.family, TextCNNOptions):
            return
        shape = self._shapes.of(base_model)
        most = 0 if shape is None else shape.positions
        for place, longest in lengths.items():
            if 0 < most < longest:
                detail = f"must be at most {most}: the base model reads no more tokens"
                allowed = {"type": "integer", "minimum": 8, "maximum": most}
                remedy = f'Use at most {most}, or "auto".'
                raise problem([FieldError(place, _RULE, detail, allowed, remedy)])

    def _length(self, request: TrainJobRequest, base_model: BaseModelRef, data: DatasetProfile) -> int:
        """Guess what max_length will be from the lengths of the texts."""
        if isinstance(request.family, TextCNNOptions):
            limit = LONGEST_INPUT
        else:
            shape = self._shapes.of(base_model)
            limit = 0 if shape is None else shape.positions
        return length_in_tokens(request.hyperparameters, data.text_lengths.p99, limit)

    def memory(self, prepared: Prepared) -> MemoryEstimate | None:
        """Say what training would take of a GPU; None when the shape of the base model is not known here."""
        batch_size = prepared.estimate.batch_size
        return memory_of(prepared.request, prepared.base_model, prepared.data, batch_size, self._shapes)

    def _dataset(self, dataset_id: str) -> tables.Dataset:
        with self._database.transaction(read_only=True) as session:
            dataset = datasets.get(session, dataset_id)
        if dataset is None:
            raise dataset_not_found()
        return dataset

    def _tasks(self, family: FamilyOptions) -> dict[str, DatasetProfile]:
        """Give what is known of the datasets of the further tasks, by name."""
        if not isinstance(family, MultitaskOptions):
            return {}
        with self._database.transaction(read_only=True) as session:
            found = {name: datasets.get(session, options.dataset_id) for name, options in family.tasks.items()}
        missing = [f"/family/tasks/{name}/dataset_id" for name, dataset in found.items() if dataset is None]
        if missing:
            raise dataset_not_found(*missing)
        return {name: DatasetProfile.model_validate(dataset.profile) for name, dataset in found.items() if dataset}


def dataset_not_found(*places: str) -> Unprocessable:
    """Make the error for a dataset that does not exist; the same whatever the id looks like.

    ``places`` are where the request names it; none: as its own dataset.
    """
    remedy = "Upload the data through POST /datasets and use the id of the answer; GET /datasets lists them."
    return Unprocessable(
        "The dataset does not exist.",
        code="dataset-not-found",
        remedy=remedy,
        errors=tuple(
            FieldError(place, "dataset-not-found", "names no dataset", remedy=remedy)
            for place in places or ("/dataset_id",)
        ),
    )


def fingerprint(value: Any) -> str:
    """Hash a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _need_validation(profile: DatasetProfile) -> None:
    if profile.splits["validation"].total == 0:
        raise Unprocessable(
            "The dataset has no validation rows to choose the best checkpoint by.",
            code="no-validation-split",
            remedy="Upload it again with validation rows, or with a validation_fraction above 0.",
            errors=(FieldError("/dataset_id", "no-validation-split", "has no validation rows"),),
        )


def _sized(request: TrainJobRequest, profile: DatasetProfile, max_length: int | None = None) -> Estimate:
    train, validation = profile.splits["train"].groups(), profile.splits["validation"].total
    in_chunks = isinstance(request.family, HierarchicalOptions)
    return estimate(
        request.hyperparameters,
        train_rows=train,
        validation_rows=validation,
        in_chunks=in_chunks,
        max_length=max_length,
    )


def _impossible(wishes: Hyperparameters, profile: DatasetProfile, size: Estimate) -> Iterator[FieldError]:
    """Find the hyperparameters that cannot work with this dataset, whatever happens."""
    metric = wishes.metric_for_best_model
    for name in [metric] if isinstance(metric, str) else metric:
        yield from _metric_label(name, profile.labels, "" if isinstance(metric, str) else pointer((name,)))
    if isinstance(wishes.class_weights, dict):
        yield from _weighted_labels(wishes.class_weights, profile.labels)
    if wishes.curriculum is not None and wishes.curriculum.difficulty == "column" and not profile.has_difficulties:
        yield FieldError(
            "/hyperparameters/curriculum/difficulty",
            _RULE,
            "needs a number for each row, and the dataset has none",
            ["length", "probe_loss"],
            "Use length or probe_loss, or upload the dataset with a difficulty_column.",
        )
    yield from _idle_devices(wishes)
    total = size.total_steps
    if wishes.warmup_steps is not None and wishes.warmup_steps >= total:
        yield _too_many_steps("warmup_steps", total - 1, total, "the learning rate would never reach its peak")
    if wishes.eval_steps is not None and wishes.eval_steps > total:
        yield _too_many_steps("eval_steps", total, total, "the model would never be evaluated on the way")


def _idle_devices(wishes: Hyperparameters) -> Iterator[FieldError]:
    if wishes.devices == "auto" or wishes.batch_size == "auto":
        return
    texts = wishes.batch_size * wishes.gradient_accumulation_steps
    if wishes.devices > texts:
        yield FieldError(
            "/hyperparameters/devices",
            _RULE,
            f"must be at most {texts}: each optimizer step learns from {texts} texts, and each device needs one",
            {"type": "integer", "minimum": 1, "maximum": texts},
            f"Use at most {texts}, or raise batch_size.",
        )


def _about_data(profile: DatasetProfile, family: FamilyOptions) -> Iterator[JobWarning]:
    read_whole = {"long-texts"} if isinstance(family, HierarchicalOptions) else set()
    for item in profile.warnings:
        if item.code not in _NOT_FOR_JOBS | read_whole:
            yield JobWarning(**item.model_dump())


def _about_export(wishes: ExportOptions) -> Iterator[JobWarning]:
    if "torchscript" in wishes.wanted:
        yield JobWarning(
            code="deprecated-format",
            detail="torch has deprecated TorchScript: it works with the release in use, and may not with a later one.",
            remedy="Export torch-export in its place, or onnx where torch is not needed.",
        )


def _too_many_steps(name: str, most: int, total: int, otherwise: str) -> FieldError:
    return FieldError(
        f"/hyperparameters/{name}",
        _RULE,
        f"must be at most {most}: the whole run has {total} optimizer steps, and {otherwise}",
        {"type": "integer", "maximum": most},
        f"Use at most {most}, or train longer.",
    )


def _metric_label(metric: str, labels: list[str], place: str) -> Iterator[FieldError]:
    kind, colon, label = metric.partition(":")
    if colon and label not in labels:
        near = nearest(label, labels)
        yield FieldError(
            f"/hyperparameters/metric_for_best_model{place}",
            _RULE,
            "names a label that the dataset does not have",
            [f"{kind}:{known}" for known in labels[:50]],
            f"Did you mean {kind}:{near}?" if near else "Name one of the dataset's labels, or use f1_macro.",
        )


def _weighted_labels(weights: dict[str, float], labels: list[str]) -> Iterator[FieldError]:
    for label in [name for name in weights if name not in labels][:20]:
        near = nearest(label, labels)
        remedy = f"Did you mean {near}?" if near else "Name the dataset's labels, or use balanced."
        yield FieldError(
            f"/hyperparameters/class_weights/{label}", _RULE, "is no label of the dataset", labels[:50], remedy
        )
    missing = [name for name in labels if name not in weights]
    if missing:
        some = ", ".join(missing[:10])
        yield FieldError(
            "/hyperparameters/class_weights",
            _RULE,
            f"gives no weight for {some}",
            remedy=f"Add a weight for {some}, or use balanced.",
        )
