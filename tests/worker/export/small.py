"""A tiny trained-looking model, rows to compare on, and a source to export: shared by the tests of exports."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from app.artifacts.bundle import Manifest
from app.schemas.jobs import BaseModelRef, DatasetRef
from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from tests.worker.toy_task import LABELS, VOCABULARY, toy_rows, write_rows
from worker.data.batches import Batches
from worker.data.encode import encode
from worker.data.rows import read_rows
from worker.evaluation.metrics import confusion_matrix, score
from worker.export import weights
from worker.export.gate import Bounds, Gate
from worker.export.source import Rows, Source
from worker.models import encoder
from worker.models.recorded import recorded

SETTINGS = TokenizerSettings(max_length=32, pad_token_id=0)


def opinionated_model(base: Path, seed: int = 0) -> torch.nn.Module:
    """Load the tiny base with a head of opinions: else all logits are near zero and every graph would do."""
    torch.manual_seed(seed)
    model = encoder.load(base, LABELS).model
    torch.nn.init.normal_(model.classifier.weight, std=2.0)
    return model.eval()


def rows_of(base: Path, folder: Path, count: int = 100) -> Batches:
    """Encode toy rows."""
    text_encoder = TextEncoder.from_files(base / "tokenizer.json", SETTINGS, TextOptions())
    split = read_rows(write_rows(folder / "rows.jsonl", toy_rows(count)), LABELS)["train"]
    return Batches(encode(split, text_encoder, vocabulary=VOCABULARY, check=nothing), text_encoder)


def source_of(
    model: torch.nn.Module,
    base: Path,
    folder: Path,
    *,
    pad_token_id: int = 0,
    longest: int = 64,
    reload: Callable[[Path], torch.nn.Module] = lambda place: encoder.load(place, LABELS).model,
) -> Source:
    """Begin a bundle of the model."""
    folder.mkdir()
    shutil.copy(base / "tokenizer.json", folder)
    weights.save(model, folder / "weights")
    return Source(
        model=model,
        folder=folder,
        draft=draft(SETTINGS.model_copy(update={"pad_token_id": pad_token_id})),
        pad_token_id=pad_token_id,
        longest=longest,
        reload=reload,
        recorded=recorded,
    )


def draft(settings: TokenizerSettings = SETTINGS) -> Manifest:
    """Make a manifest without files."""
    return Manifest(
        model="toy",
        job_id="job",
        attempt=1,
        created_at=datetime.now(UTC),
        family="encoder",
        labels=LABELS,
        text=TextOptions(),
        tokenizer=settings,
        base_model=BaseModelRef(id="tiny", source="folder"),
        dataset=DatasetRef(id="ds", sha256="0", counts={}),
        hyperparameters={},
        resolutions=[],
        validation=None,
        test=None,
        exports=[],
        libraries={},
        files={},
    )


def gate_of(rows: Rows, *, max_metric_drop: float = 0.005, min_label_agreement: float = 0.98) -> Gate:
    """Judge by macro F1."""

    def judge(logits: np.ndarray, truth: np.ndarray) -> float:
        return score(confusion_matrix(truth, logits.argmax(axis=1), len(LABELS)), LABELS, split="v", loss=0.0).f1_macro

    return Gate(rows, judge, Bounds("f1_macro", max_metric_drop, min_label_agreement), nothing)


def nothing() -> None:
    """Never stop."""
