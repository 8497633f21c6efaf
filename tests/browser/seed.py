"""Fills a store with what a busy service would have in it, through the store's own verbs where they exist."""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import insert, inspect
from sqlalchemy.orm import Session

from app.ids import new_id
from app.schemas.jobs import BaseModelRef, TrainJobRequest
from app.store import datasets, events, jobs, tables
from app.store.engine import Database
from app.store.events import NewEvent

MODELS = (
    "support-tickets",
    "film-reviews",
    "toxic-comments",
    "intents",
    "news-topics-with-a-rather-long-name-of-its-own",
)
BASES = ("distilbert-base-uncased", "minilm-l6", "FacebookAI/roberta-base", "microsoft/deberta-v3-base")
ENDS = ("succeeded", "succeeded", "succeeded", "failed", "cancelled")
LABELS = ["complaint", "praise", "question"]
COUNTS = {"train": 9_600, "validation": 1_200, "test": 1_200}
PROFILE = {
    "labels": LABELS,
    "splits": {
        split: {"total": rows, "by_label": dict.fromkeys(LABELS, rows // len(LABELS))} for split, rows in COUNTS.items()
    },
    "text_lengths": {"p50": 64, "p90": 87, "p99": 271, "max": 286},
    "duplicates": 0,
    "majority_baseline": 0.333333,
    "warnings": [],
}


def add_dataset(database: Database) -> str:
    """Store a dataset row and give its id; its file does not exist, for nothing here reads rows."""
    with database.transaction() as session:
        row = tables.Dataset(
            id=new_id("ds"),
            name="customer messages",
            sha256="2" * 64,
            bytes=55_638,
            rows=12_000,
            format="csv",
            labels=LABELS,
            counts=COUNTS,
            profile=PROFILE,
            artifact_key="datasets/none/rows.jsonl",
        )
        return str(datasets.insert(session, row).id)


def add_jobs(database: Database, dataset_id: str, count: int, *, seed: int = 7) -> list[str]:
    """Store ``count`` jobs, the older ones finished, two running and the newest three queued; newest last.

    One is submitted; the others are rows like it, because submitting thousands takes minutes.
    """
    chance = random.Random(seed)
    begin = datetime.now(UTC) - timedelta(minutes=9 * count)
    with database.transaction() as session:
        pattern = _submitted(session, session.get_one(tables.Dataset, dataset_id))
        columns = {column.key: getattr(pattern, column.key) for column in inspect(tables.Job).column_attrs}
        made = []
        for number in range(count):
            base = chance.choice(BASES)
            job = SimpleNamespace(**columns)
            job.id, job.model_name, job.created_at = (
                new_id("job"),
                chance.choice(MODELS),
                begin + timedelta(minutes=9 * number),
            )
            job.base_model = {"id": base, "source": "hub", "revision": "1" * 40}
            job.hyperparameters = columns["hyperparameters"] | {"learning_rate": chance.choice([1e-5, 2e-5, 5e-5])}
            if number < count - 5:
                _ended(job, chance)
            elif number < count - 3:
                _running(job, chance)
            made.append(vars(job))
        session.delete(pattern)
        session.execute(insert(tables.Job), made)
        return [str(job["id"]) for job in made]


def _submitted(session: Session, dataset: tables.Dataset) -> tables.Job:
    wishes: dict[str, Any] = {"model": MODELS[0], "dataset_id": dataset.id, "base_model": BASES[0]}
    return jobs.submit(
        session,
        request=TrainJobRequest.model_validate(wishes),
        request_sha256="0" * 64,
        dataset=dataset,
        base_model=BaseModelRef(id=BASES[0], source="hub", revision="1" * 40),
        warnings=[],
        max_attempts=3,
    )


def _running(job: SimpleNamespace, chance: random.Random) -> None:
    job.status, job.phase, job.attempt = "running", "training", 1
    job.started_at = datetime.now(UTC) - timedelta(minutes=4)
    job.lease_owner, job.lease_until = "wrk_seed", datetime.now(UTC) + timedelta(hours=2)
    job.worker = {"id": "wrk_seed", "device": "NVIDIA L4"}
    job.progress = {
        "fraction": chance.uniform(0.2, 0.8), "step": 400, "total_steps": 900, "epoch": 1.3, "num_train_epochs": 3,
        "loss": 0.41, "learning_rate": 1.2e-5, "eta_seconds": chance.uniform(30, 4000), "examples_per_second": 311.0,
    }  # fmt: skip
    job.status_reason = "Training: step 400 of 900."


def _ended(job: SimpleNamespace, chance: random.Random) -> None:
    job.status, job.attempt = chance.choice(ENDS), 1
    job.started_at = job.created_at + timedelta(seconds=chance.uniform(1, 40))
    job.finished_at = job.started_at + timedelta(seconds=chance.uniform(60, 4000))
    job.worker = {"id": "wrk_seed", "device": "NVIDIA L4"}
    if job.status != "cancelled":
        job.best_metric = {"name": "f1_macro", "value": chance.uniform(0.62, 0.97), "step": 600, "epoch": 2.0}
    if job.status == "failed":
        job.error = {"code": "gpu-out-of-memory", "detail": "The GPU has too little memory.", "remedy": "Use fp16."}


def add_curves(database: Database, job_id: str, steps: int) -> int:
    """Give a job ``steps`` steps with four curves each, and one event in twenty steps; say how many points that is."""
    names = ("train/loss", "train/learning_rate", "train/grad_norm", "train/accuracy")
    chance = random.Random(3)
    with database.transaction() as session:
        job = session.get_one(tables.Job, job_id)
        for chunk in _chunks(steps, 5_000):
            rows = [
                {"job_id": job_id, "attempt": 1, "name": name, "step": step, "epoch": step / 1000, "value": value,
                 "at": job.created_at + timedelta(seconds=step)}
                for step in chunk for name, value in zip(names, _values(step, steps, chance), strict=True)
            ]  # fmt: skip
            session.execute(insert(tables.MetricPoint), rows)
        told = [NewEvent("step", {"step": step, "loss": 0.5}) for step in range(20, steps, 20)]
        events.append(session, job, told, at=job.created_at)
    return steps * len(names)


def _chunks(steps: int, size: int) -> Iterator[range]:
    return (range(start, min(steps, start + size - 1) + 1) for start in range(1, steps + 1, size))


def _values(step: int, steps: int, chance: random.Random) -> tuple[float, float, float, float]:
    done = step / steps
    loss = 0.15 + math.exp(-5 * done) + chance.gauss(0, 0.04)
    return loss, 2e-5 * min(1.0, 10 * done, 1.1 - done), 1 + chance.gauss(0, 0.2), 1 - loss / 2
