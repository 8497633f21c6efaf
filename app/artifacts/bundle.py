"""A bundle: the folder a job hands back, described by one manifest; all that serving needs."""

import hashlib
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from app.errors import JobFailure
from app.schemas.base import Resource
from app.schemas.datasets import ProblemType
from app.schemas.decisions import Decision
from app.schemas.families import FamilyName
from app.schemas.histograms import Reference
from app.schemas.hyperparameters import Resolution
from app.schemas.inspections import Inspection
from app.schemas.jobs import BaseModelRef, DatasetRef, ServedFormat
from app.schemas.judgements import AnswersRef, Baseline, Intervals, SliceScores
from app.schemas.metrics import Evaluation
from app.schemas.models import ExportVerdict, Task
from app.schemas.text import TextOptions
from app.schemas.text import TokenizerSettings as TokenizerSettings

MANIFEST = "manifest.json"
ONNX = "model.onnx"
SERVED_FILES: dict[ServedFormat, str] = {
    "onnx": ONNX,
    "onnx-int8": "model.int8.onnx",
    "onnx-fp16": "model.fp16.onnx",
}
"""What a server can load, by format."""
TOKENIZER = "tokenizer.json"
GOLDEN = "golden.json"
"""Texts with the answers to be expected."""
WEIGHTS = "weights"
"""Folder of the Hugging Face checkpoint: config.json and model.safetensors, to train on from here."""


class FileEntry(Resource):
    """One file of a bundle, pinned by size and hash."""

    bytes: int
    sha256: str


class Manifest(Resource):
    """What is in a bundle and how it came to be."""

    schema_version: Literal[1] = 1
    model: str
    job_id: str
    attempt: int
    created_at: datetime
    family: FamilyName
    problem_type: ProblemType = "single_label"
    thresholds: list[float] | None = None
    """Of multi_label: the probability from which a label is given, in the order of ``labels``."""
    decision: Decision = Decision()
    """How logits become answers."""
    labels: Annotated[list[str], Field(min_length=2)]
    """Label names in the order of the logits; of a multitask model, those of the main task, which come first."""
    tasks: list[Task] = []
    """Of a multitask model: all tasks in the order of the logits, the main one first."""
    text: TextOptions
    tokenizer: TokenizerSettings
    base_model: BaseModelRef
    dataset: DatasetRef
    hyperparameters: dict[str, Any]
    resolutions: list[Resolution]
    inspection: Inspection | None = None
    """What the network is made of, as it was loaded for training."""
    validation: Evaluation | None
    test: Evaluation | None
    intervals: Intervals | None = None
    """How sure the scores of ``answers.split`` are."""
    baselines: list[Baseline] = []
    """What simple models reach on the same rows."""
    slices: list[SliceScores] = []
    """Scores on parts of those rows."""
    answers: AnswersRef | None = None
    """What was answered to the test rows (without any, the validation rows), to compare with other versions."""
    reference: Reference | None = None
    """How it answered the rows that it was judged on, to be compared with what it is asked later."""
    exports: list[ExportVerdict]
    serve: ServedFormat = "onnx"
    """The format that answers predictions."""
    libraries: dict[str, str]
    files: dict[str, FileEntry]
    """Every file but the manifest itself, by POSIX path inside the bundle."""

    @property
    def heads(self) -> dict[str, slice]:
        """Tell which logits are whose, by task; a model with one task has one head, without a name."""
        if not self.tasks:
            return {"": slice(0, len(self.labels))}
        return {task.name: slice(task.offset, task.offset + len(task.labels)) for task in self.tasks}

    @property
    def width(self) -> int:
        """Count the logits."""
        return sum(len(task.labels) for task in self.tasks) or len(self.labels)

    @property
    def served_file(self) -> str:
        """Name the model file that answers predictions."""
        return SERVED_FILES[self.serve]


class Bundle:
    """A folder with a manifest, on this machine."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: Path, *, only: Collection[str] | None = None, manifest_sha256: str | None = None) -> "Bundle":
        """Read the manifest of ``folder`` and check every file's size and hash, or just those named by ``only``.

        ``manifest_sha256`` pins the manifest itself. Raises JobFailure ``damaged-bundle`` when anything differs.
        """
        try:
            content = (folder / MANIFEST).read_bytes()
            manifest = Manifest.model_validate_json(content)
        except (OSError, ValidationError) as error:
            raise damaged(folder.name, f"{MANIFEST} is missing or malformed") from error
        if manifest_sha256 not in (None, hashlib.sha256(content).hexdigest()):
            raise damaged(manifest.model, f"{MANIFEST} is not the one that was registered")
        for name in manifest.files if only is None else only:
            entry = manifest.files.get(name)
            if entry is None or not _matches(folder / name, entry):
                raise damaged(manifest.model, f"{name} differs from its manifest")
        return cls(folder, manifest)

    def path(self, name: str) -> Path:
        """Give the place of one of the manifest's files."""
        if name not in self.manifest.files:
            raise KeyError(name)
        return self.folder / name


def damaged(bundle: str, what: str) -> JobFailure:
    """Make the error of a bundle that is not what its job handed back."""
    return JobFailure(
        detail=f"The bundle of {bundle} is damaged: {what}.",
        code="damaged-bundle",
        remedy="Restore the artifact store from a backup, or train the version again.",
        kind="internal",
    )


def describe_files(folder: Path) -> dict[str, FileEntry]:
    """Measure and hash every file below ``folder`` but the manifest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): FileEntry(bytes=path.stat().st_size, sha256=sha256_of(path))
        for path in files
        if path.relative_to(folder).as_posix() != MANIFEST
    }


def sha256_of(path: Path) -> str:
    """Hash a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _matches(path: Path, entry: FileEntry) -> bool:
    return path.is_file() and path.stat().st_size == entry.bytes and sha256_of(path) == entry.sha256
