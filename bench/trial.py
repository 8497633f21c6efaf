"""One job on real labelled rows through the HTTP API: upload, training, and the scores of the served version."""

import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.client import Tunesmith
from app.schemas.datasets import Dataset, SplitName
from app.schemas.job_events import JobEvent
from app.schemas.jobs import Job

SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
BATCH = 32
EXACT = 1e-9

Rows = dict[SplitName, list[dict[str, str]]]


@dataclass(frozen=True)
class Scores:
    """What answers are worth."""

    accuracy: float
    f1_macro: float

    @classmethod
    def of(cls, answers: Sequence[str], truth: Sequence[str]) -> "Scores":
        """Judge answers; macro F1 is the mean over the labels that occur among the true ones."""
        pairs = list(zip(answers, truth, strict=True))
        hits = Counter(answer for answer, label in pairs if answer == label)
        given, true = Counter(answers), Counter(truth)
        f1 = [2 * hits[label] / (given[label] + true[label]) for label in true]
        return cls(hits.total() / len(truth), sum(f1) / len(f1))

    def same_as(self, other: "Scores") -> bool:
        """Say whether both are one, but for rounding."""
        gaps = self.accuracy - other.accuracy, self.f1_macro - other.f1_macro
        return max(map(abs, gaps)) < EXACT

    def __str__(self) -> str:
        return f"accuracy {self.accuracy:.4f}, macro F1 {self.f1_macro:.4f}"


@dataclass(frozen=True)
class Trial:
    """A job that succeeded, and what its version answered."""

    job: Job
    seconds: float
    """From POST /jobs to success."""
    curve: list[dict[str, Any]]
    """Each evaluation on the way: seconds since POST, step, epoch, loss, accuracy and f1_macro of validation."""
    answers: list[str]
    """For every test row, from POST /predict."""
    asked_seconds: float
    offline: Scores
    """Of the test rows, as the job measured it."""
    served: Scores
    """Of the same rows, from ``answers``."""


def read_rows(folder: Path, wanted: Mapping[SplitName, int], seed: int) -> Rows:
    """Read train.jsonl, validation.jsonl and test.jsonl, each with ``text`` and ``label``; 0 rows wanted: all."""
    rng = random.Random(seed)
    rows: Rows = {}
    for split in SPLITS:
        lines = (folder / f"{split}.jsonl").read_text(encoding="utf-8").split("\n")
        rows[split] = [json.loads(line) for line in lines if line]
        if 0 < wanted[split] < len(rows[split]):
            rows[split] = rng.sample(rows[split], wanted[split])
    return rows


def upload(service: Tunesmith, rows: Rows, name: str) -> Dataset:
    """Upload all splits in one file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.jsonl"
        lines = (json.dumps(row | {"split": split}) for split in SPLITS for row in rows[split])
        file.write_text("".join(f"{line}\n" for line in lines))
        return service.upload_dataset(file, name=name)


def run(service: Tunesmith, model: str, rows: Rows, *, name: str, say: Callable[[str], None], **fields: Any) -> Trial:
    """Train ``model`` and ask its new version about every test row; ``fields`` are those of POST /jobs.

    Raises SystemExit with the job's own words when it does not succeed.
    """
    dataset = upload(service, rows, name)
    began = time.monotonic()
    job = service.train(model, dataset, **fields)
    curve = []
    for event in service.events(job.id):
        if event.type == "evaluated" and event.data["split"] == "validation":
            curve.append(_point(event, time.monotonic() - began))
            say("  " + "  ".join(f"{key} {_short(value)}" for key, value in curve[-1].items()))
    job, seconds = service.job(job.id), time.monotonic() - began
    if job.status != "succeeded" or job.result is None or job.metrics.test is None:
        raise SystemExit(f"the job {job.id} {job.status}: {job.error}")
    asked = time.monotonic()
    answers = list(ask(service, f"{model}:{job.result.version}", [row["text"] for row in rows["test"]]))
    offline = Scores(job.metrics.test.accuracy, job.metrics.test.f1_macro)
    served = Scores.of(answers, [row["label"] for row in rows["test"]])
    return Trial(job, seconds, curve, answers, time.monotonic() - asked, offline, served)


def ask(service: Tunesmith, model: str, texts: Sequence[str]) -> Iterator[str]:
    """Ask for the label of every text, a batch at a time."""
    for start in range(0, len(texts), BATCH):
        for prediction in service.predict(model, texts[start : start + BATCH]).predictions:
            yield prediction.label


def _point(event: JobEvent, seconds: float) -> dict[str, Any]:
    found = {"seconds": round(seconds, 1), "step": event.data["step"], "epoch": event.data["epoch"]}
    scores = event.data["metrics"]
    return found | {name: scores[name] for name in ("loss", "accuracy", "f1_macro")}


def _short(value: float) -> str:
    return f"{value:.4g}"
