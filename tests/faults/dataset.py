"""The one dataset of every field, stored without the API's help: fields are many, and reading it takes a while."""

import hashlib
import json
from collections import Counter
from pathlib import Path

from sqlalchemy.orm import Session

from app.schemas.datasets import DatasetProfile, TextLengths
from app.store import datasets, tables
from tests.worker.toy_task import LABELS, toy_rows

ID = "ds_" + "0" * 31 + "1"
KEY = f"datasets/{ID}/rows.jsonl"
ROWS = [*toy_rows(48), *toy_rows(12, split="validation")]


def content() -> bytes:
    """Give the canonical rows."""
    return "".join(f"{json.dumps(vars(row))}\n" for row in ROWS).encode()


def insert(session: Session) -> None:
    """Write the dataset's row."""
    splits = ("train", "validation", "test")
    counts = {split: Counter(row.label for row in ROWS if row.split == split) for split in splits}
    profile = DatasetProfile(
        labels=LABELS,
        splits={split: {"total": each.total(), "by_label": dict(each)} for split, each in counts.items()},
        text_lengths=TextLengths(p50=80, p90=120, p99=150, max=160),
        duplicates=0,
        majority_baseline=1 / len(LABELS),
        warnings=[],
    )
    row = tables.Dataset(
        id=ID,
        name="toy",
        sha256=hashlib.sha256(content()).hexdigest(),
        bytes=len(content()),
        rows=len(ROWS),
        format="jsonl",
        labels=LABELS,
        counts={split: each.total() for split, each in counts.items()},
        profile=profile.model_dump(mode="json"),
        artifact_key=KEY,
    )
    datasets.insert(session, row)


def keep(root: Path) -> None:
    """Put the rows into an artifact store."""
    file = root / KEY
    file.parent.mkdir(parents=True)
    file.write_bytes(content())
