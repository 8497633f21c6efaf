"""What is measured: a model that jobs of the service train on labelled texts, in fp32 and int8, and texts to ask about.

Only public commands are used: rows are uploaded, two jobs train on them, and what they hand back is downloaded. The
floor and the rivals answer with the same weights, exported in the usual way.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.client import Tunesmith
from bench.trial import Rows, read_rows, upload
from scripts.own_service import own_service

ROOT = Path(__file__).parents[1]
PRECISIONS = {"fp32": ("onnx", "model.onnx"), "int8": ("onnx-int8", "model.int8.onnx")}
"""The format that is served, and its file."""
OWN_FILE = "own.onnx"
MAX_LENGTH = 128
"""Tokens; every contender cuts here, and hardly any tweet is as long."""


@dataclass(frozen=True)
class Subject:
    """A trained model on this machine."""

    data_dir: Path
    """Of the service that trained it and will serve it; the models are called fp32 and int8."""
    folders: Mapping[str, Path]
    """By precision: model.onnx of the usual export, own.onnx of the service's, tokenizer.json, labels.json, and the
    checkpoint as transformers reads it."""
    texts: Path
    """A JSON list."""
    labels: list[str]


def make(data: Path, work: Path, *, train_rows: int, texts: int, seed: int) -> Subject:
    """Train, unless ``work`` holds what an earlier run trained."""
    folders = {precision: work / precision for precision in PRECISIONS}
    if not (work / "texts.json").is_file():
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        rows = read_rows(data, {"train": train_rows, "validation": 200, "test": texts}, seed)
        with own_service({"TUNESMITH_DATA_DIR": str(work / "service"), "TUNESMITH_TRACKERS": "[]"}) as service:
            _train(service, rows, work, folders)
        (work / "texts.json").write_text(json.dumps([row["text"] for row in rows["test"]]))
    else:  # trained by another revision, perhaps
        settings = {"TUNESMITH_DATA_DIR": str(work / "service")}
        subprocess.run([sys.executable, "-m", "app", "migrate"], env=os.environ | settings, check=True)
    labels = json.loads((folders["fp32"] / "labels.json").read_text())
    return Subject(work / "service", folders, work / "texts.json", labels)


def _train(service: Tunesmith, rows: Rows, work: Path, folders: Mapping[str, Path]) -> None:
    dataset = upload(service, rows, "bench")
    for precision, (served, file) in PRECISIONS.items():
        # Labels and metric are not what is measured here: int8 is served whatever it costs.
        export = {"formats": ["safetensors"], "serve": served, "min_label_agreement": 0, "max_metric_drop": 1}
        wishes: dict[str, Any] = {"num_train_epochs": 1, "max_length": MAX_LENGTH}
        job = service.train(precision, dataset, base_model="minilm-l6", hyperparameters=wishes, export=export)
        job = service.wait(job.id)
        if job.status != "succeeded":
            raise SystemExit(f"the job {job.id} {job.status}: {job.error}")
        place = service.download(precision, 1, work / f"{precision}.zip")
        _unpack(place, folders[precision], file)


def _unpack(place: Path, folder: Path, file: str) -> None:
    """Lay out what every contender can read."""
    with zipfile.ZipFile(place) as archive:
        archive.extractall(folder / "all")
    place.unlink()
    (bundle,) = (folder / "all").rglob("manifest.json")
    for path in (bundle.parent / "weights").iterdir():
        path.replace(folder / path.name)
    (bundle.parent / file).replace(folder / OWN_FILE)
    shutil.copy(bundle.parent / "tokenizer.json", folder / "tokenizer.json")
    (folder / "labels.json").write_text(json.dumps(json.loads(bundle.read_text())["labels"]))
    shutil.rmtree(folder / "all")
    # In a process of its own: torch would stay in memory while servers are measured.
    subprocess.run([sys.executable, "-m", "bench.usual_export", str(folder)], cwd=ROOT, check=True)
    (folder / file).replace(folder / "model.onnx")
