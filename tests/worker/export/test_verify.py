"""Verification lets the right graph pass and no wrong one."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from app.artifacts.bundle import ONNX, Bundle, Manifest, describe_files
from app.errors import JobFailure
from app.schemas.jobs import BaseModelRef, DatasetRef
from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from tests.worker.toy_task import LABELS, VOCABULARY, toy_rows, write_rows
from worker.data.batches import Batches
from worker.data.encode import encode
from worker.data.rows import read_rows
from worker.export.formats import onnx
from worker.export.verify import TOLERANCE, verify
from worker.models import encoder

SETTINGS = TokenizerSettings(max_length=32, pad_token_id=0)


@pytest.fixture
def model(tiny_base: Path) -> torch.nn.Module:
    torch.manual_seed(0)
    loaded = encoder.load(tiny_base, LABELS).model
    # A head with opinions: else all logits are near zero and every graph would do.
    torch.nn.init.normal_(loaded.classifier.weight, std=2.0)
    return loaded.eval()


@pytest.fixture
def rows(tiny_base: Path, tmp_path: Path) -> Batches:
    text_encoder = TextEncoder.from_files(tiny_base / "tokenizer.json", SETTINGS, TextOptions())
    split = read_rows(write_rows(tmp_path / "rows.jsonl", toy_rows(100)), LABELS)["train"]
    return Batches(encode(split, text_encoder, vocabulary=VOCABULARY, check=lambda: None), text_encoder)


def bundle_of(model: torch.nn.Module, base: Path, folder: Path) -> Bundle:
    folder.mkdir()
    shutil.copy(base / "tokenizer.json", folder)
    onnx.export(model, folder / ONNX, pad_token_id=0, longest=64)
    manifest = Manifest(
        model="toy",
        job_id="job",
        attempt=1,
        created_at=datetime.now(UTC),
        family="encoder",
        labels=LABELS,
        text=TextOptions(),
        tokenizer=SETTINGS,
        base_model=BaseModelRef(id="tiny", source="folder"),
        dataset=DatasetRef(id="ds", sha256="0", counts={}),
        hyperparameters={},
        resolutions=[],
        validation=None,
        test=None,
        exports=[],
        libraries={},
        files=describe_files(folder),
    )
    return Bundle(folder, manifest)


def test_the_right_graph_passes(model: torch.nn.Module, rows: Batches, tiny_base: Path, tmp_path: Path) -> None:
    bundle = bundle_of(model, tiny_base, tmp_path / "bundle")
    verdict = verify(bundle, model, rows)
    assert verdict.passed
    assert (verdict.rows, verdict.label_agreement, verdict.format, verdict.file) == (64, 1.0, "onnx", ONNX)
    assert verdict.max_abs_difference < TOLERANCE / 10
    assert verdict.bytes == (bundle.folder / ONNX).stat().st_size


def test_a_graph_with_one_changed_layer_is_refused(
    model: torch.nn.Module, rows: Batches, tiny_base: Path, tmp_path: Path
) -> None:
    bundle = bundle_of(model, tiny_base, tmp_path / "bundle")
    with torch.no_grad():
        model.get_submodule("bert.encoder.layer.1.output.dense").weight.mul_(1.2)
    with pytest.raises(JobFailure) as caught:
        verify(bundle, model, rows)
    assert caught.value.code == "export-verification-failed"


def test_a_graph_that_forgets_the_mask_is_refused(
    model: torch.nn.Module, rows: Batches, tiny_base: Path, tmp_path: Path
) -> None:
    class Maskless(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> object:
            return model(input_ids=input_ids, attention_mask=torch.ones_like(attention_mask))

    with pytest.raises(JobFailure, match="answers differently"):
        verify(bundle_of(Maskless(), tiny_base, tmp_path / "bundle"), model, rows)


def test_a_graph_that_is_not_a_number_is_refused(
    model: torch.nn.Module, rows: Batches, tiny_base: Path, tmp_path: Path
) -> None:
    bundle_model = encoder.load(tiny_base, LABELS).model.eval()
    torch.nn.init.constant_(bundle_model.classifier.bias, float("nan"))
    with pytest.raises(JobFailure):
        verify(bundle_of(bundle_model, tiny_base, tmp_path / "bundle"), model, rows)


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_takes_datasets_of_any_size(model: torch.nn.Module, tiny_base: Path, tmp_path: Path, count: int) -> None:
    text_encoder = TextEncoder.from_files(tiny_base / "tokenizer.json", SETTINGS, TextOptions())
    split = read_rows(write_rows(tmp_path / "rows.jsonl", toy_rows(count)), LABELS)["train"]
    few = Batches(encode(split, text_encoder, vocabulary=VOCABULARY, check=lambda: None), text_encoder)
    assert verify(bundle_of(model, tiny_base, tmp_path / "bundle"), model, few).rows == count


def test_a_tie_may_fall_either_way(model: torch.nn.Module, rows: Batches, tiny_base: Path, tmp_path: Path) -> None:
    """Two labels with nearly the same logit: rounding decides, and that is no fault."""
    head = model.get_submodule("classifier")
    with torch.no_grad():
        head.weight[1] = head.weight[0]
        head.bias[:] = torch.tensor([1e-4, 0.0, -99.0])
    bundle = bundle_of(model, tiny_base, tmp_path / "bundle")
    with torch.no_grad():
        head.bias[:2] = torch.tensor([0.0, 1e-4])
    verdict = verify(bundle, model, rows)
    assert verdict.passed
    assert verdict.label_agreement < 0.1
    assert np.isclose(verdict.max_abs_difference, 1e-4, rtol=0.1)
