"""A job as the service shows it, with curves, a profile and issues to report on."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.reports.assembly import build_report
from app.schemas.datasets import DatasetProfile, DataWarning, SplitCounts, SplitName, TextLengths
from app.schemas.hyperparameters import Resolution, ResolvedHyperparameters
from app.schemas.inspections import Inspection, Layer
from app.schemas.issues import DataIssues, HardExample, LabelSuspect, Overlap
from app.schemas.jobs import (
    BaseModelRef,
    BestMetric,
    DatasetRef,
    ExportOptions,
    Job,
    JobMetrics,
    JobResult,
    JobWarning,
    Progress,
    WorkerRef,
)
from app.schemas.metrics import ClassScores, Evaluation
from app.schemas.reports import Report
from app.schemas.text import TextOptions
from app.schemas.usage import Usage
from app.store.metrics import Point

CREATED = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
NAMES = ["general", "teen", "mature"]
COUNTS = {"train": [2352, 1058, 510], "validation": [295, 132, 63], "test": [295, 133, 62]}
VALIDATION = [[255, 32, 8], [30, 90, 12], [6, 14, 43]]
TEST = [[251, 36, 8], [33, 86, 14], [9, 15, 38]]


def evaluation(split: str, matrix: list[list[int]], names: list[str]) -> Evaluation:
    columns = [sum(column) for column in zip(*matrix, strict=True)]
    scores = [
        ClassScores(
            label=name,
            precision=row[index] / max(columns[index], 1),
            recall=row[index] / max(sum(row), 1),
            f1=2 * row[index] / max(sum(row) + columns[index], 1),
            support=sum(row),
        )
        for index, (name, row) in enumerate(zip(names, matrix, strict=True))
    ]
    rows, macro = sum(map(sum, matrix)), sum(each.f1 for each in scores) / len(scores)
    accuracy = sum(matrix[index][index] for index in range(len(matrix))) / rows
    return Evaluation(
        split=split,
        examples=rows,
        loss=0.6,
        accuracy=accuracy,
        f1_macro=macro,
        f1_weighted=accuracy,
        precision_macro=macro,
        precision_weighted=accuracy,
        recall_macro=macro,
        recall_weighted=accuracy,
        per_class=scores,
        confusion_matrix=matrix,
    )


INSPECTION = Inspection(
    architecture="RobertaForSequenceClassification",
    parameters=124_647_939,
    trainable_parameters=592_131,
    size_mb=475.5,
    device="NVIDIA RTX 3080",
    layers=[
        Layer(name="roberta", kind="RobertaModel", parameters=124_055_040),
        Layer(name="roberta.embeddings", kind="RobertaEmbeddings", parameters=39_000_576),
    ],
)


@pytest.fixture
def make_evaluation() -> Callable[..., Evaluation]:
    return evaluation


@pytest.fixture
def make_sets() -> Callable[[str], Evaluation]:
    """Scores of rows with any number of labels."""

    def made(split: str) -> Evaluation:
        sets = {"f1_micro": 0.75, "precision_micro": 0.75, "recall_micro": 0.75, "hamming_loss": 0.25}
        changed = {"accuracy": 0.4, "f1_macro": 0.5, "confusion_matrix": []}
        return evaluation(split, VALIDATION, NAMES).model_copy(update=sets | changed)

    return made


@pytest.fixture
def hyperparameters() -> dict[str, Any]:
    """The configuration that the publication block is to state."""
    return ResolvedHyperparameters(
        num_train_epochs=15,
        batch_size=4,
        gradient_accumulation_steps=4,
        learning_rate=2e-5,
        head_learning_rate_multiplier=2.0,
        class_weights={"general": 0.544, "teen": 1.21, "mature": 2.97},
        dropout=0.1,
        max_length=256,
        precision="fp16",
        warmup_steps=368,
        lr_scheduler_type="cosine",
        early_stopping_patience=5,
    ).model_dump()


@pytest.fixture
def make_job(hyperparameters: dict[str, Any]) -> Callable[..., Job]:
    def made(*, names: list[str] = NAMES, **changed: Any) -> Job:
        parts: dict[str, Any] = {
            "id": "job_019302f4c8d27c31a3b1f0e4d5c6b7a8",
            "kind": "train",
            "status": "succeeded",
            "phase": None,
            "phase_history": [],
            "status_reason": "Version 3 of content-rating is ready.",
            "progress": Progress(fraction=1, step=2450, total_steps=3680, epoch=10, num_train_epochs=15),
            "queue": "default",
            "queue_position": None,
            "attempt": 1,
            "max_attempts": 3,
            "worker": WorkerRef(id="box-1", device="NVIDIA RTX 3080"),
            "model": "content-rating",
            "family": "encoder",
            "base_model": BaseModelRef(id="roberta-base", source="hub", revision="e2da8e2"),
            "dataset": DatasetRef(id="ds_1", sha256="5f" * 32, counts={key: sum(row) for key, row in COUNTS.items()}),
            "hyperparameters": hyperparameters,
            "resolutions": [Resolution(field="max_length", value=256, reason="99 % of the texts keep within 243.")],
            "text": TextOptions(),
            "export": ExportOptions(),
            "metrics": JobMetrics(
                best=BestMetric(name="f1_macro", value=0.741, step=1470, epoch=6),
                validation=evaluation("validation", VALIDATION, names),
                test=evaluation("test", TEST, names),
            ),
            "inspection": INSPECTION,
            "stop_reason": "early_stopping",
            "result": JobResult(model="content-rating", version=3, artifacts=["model.onnx"]),
            "error": None,
            "warnings": [JobWarning(code="truncated", detail="38 texts are too long.", remedy="Raise max_length.")],
            "usage": Usage(train_seconds=9000, peak_memory_mb=7340, phases={"training": 9000, "exporting": 44.2}),
            "priority": 0,
            "metadata": {"team": "safety"},
            "created_at": CREATED,
            "started_at": CREATED + timedelta(seconds=4),
            "finished_at": CREATED + timedelta(seconds=9400),
            "allowed_actions": [],
            "links": {},
        }
        return Job(**parts | changed)

    return made


@pytest.fixture
def points() -> list[Point]:
    """Ten epochs of 245 steps: overfitting from the seventh on."""
    steps = range(10, 2451, 10)
    train = [Point("train/loss", step, step / 245, 0.2 + 0.9 * math.exp(-step / 600)) for step in steps]
    right = [Point("train/accuracy", step, step / 245, 0.95 - 0.5 * math.exp(-step / 600)) for step in steps]
    rate = [Point("train/learning_rate", step, step / 245, 2e-5 * (1 - step / 3680)) for step in steps]
    losses = [1.02, 0.86, 0.74, 0.68, 0.64, 0.62, 0.64, 0.69, 0.74, 0.79]
    scores = [0.43, 0.56, 0.64, 0.68, 0.71, 0.741, 0.73, 0.72, 0.72, 0.71]
    judged = [
        Point(name, 245 * epoch, float(epoch), value)
        for name, values in (("eval/loss", losses), ("eval/f1_macro", scores), ("eval/accuracy", scores))
        for epoch, value in enumerate(values, start=1)
    ]
    return train + right + rate + judged


@pytest.fixture
def make_profile() -> Callable[..., DatasetProfile]:
    def made(*, names: list[str] = NAMES, warning: str = "Labels are uneven.") -> DatasetProfile:
        splits: dict[SplitName, SplitCounts] = {}
        for split in ("train", "validation", "test"):
            row = COUNTS[split]
            splits[split] = SplitCounts(total=sum(row), by_label=dict(zip(names, row, strict=True)))
        return DatasetProfile(
            labels=names,
            splits=splits,
            text_lengths=TextLengths(p50=412, p90=1100, p99=2300, max=9800),
            duplicates=12,
            majority_baseline=0.602,
            warnings=[DataWarning(code="imbalanced", detail=warning, remedy="Use class_weights.")],
        )

    return made


@pytest.fixture
def make_issues() -> Callable[[str, str], DataIssues]:
    def made(text: str, label: str) -> DataIssues:
        hard = HardExample(
            row=17, text=text, label=label, predicted="teen", probability=0.97, label_probability=0.01, loss=4.6
        )
        suspect = LabelSuspect(
            row=17, text=text, label=label, suggested="teen", probability=0.97, label_probability=0.01
        )
        overlap = Overlap(text=text, rows={"train": 2, "validation": 1}, labels=[label, "teen"])
        return DataIssues(
            split="validation",
            hardest=[hard],
            label_suspects=[suspect],
            label_suspects_total=9,
            overlaps=[overlap],
            overlaps_total=4,
            leaked={"validation": 3},
        )

    return made


@pytest.fixture
def report(
    make_job: Callable[..., Job],
    make_profile: Callable[..., DatasetProfile],
    make_issues: Callable[[str, str], DataIssues],
    points: list[Point],
) -> Report:
    """A report with something in every section."""
    return build_report(make_job(), points, profile=make_profile(), issues=make_issues("A hard text", "general"))
