"""Every format of every kind of model: exported, loaded again, and of the trained model's opinion."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from app.schemas.families import TextCNNOptions
from app.schemas.jobs import JobWarning
from app.schemas.text import TextOptions
from app.text.tokenizer import TextEncoder
from tests.worker.export.small import SETTINGS, gate_of, nothing, source_of
from tests.worker.tiny_models import READS, save_base
from tests.worker.toy_task import LABELS
from worker.data.batches import Batches
from worker.data.encode import Encoded
from worker.export.exporter import Exporter
from worker.export.registry import FORMATS
from worker.models import encoder, textcnn

ROWS = 48
WORDS = 400
Model = tuple[torch.nn.Module, ModuleType]


def pretrained(family: str) -> Callable[[Path], Model]:
    """How to make a tiny transformer of a family."""

    def make(folder: Path) -> Model:
        # One layer is exported as the next is, and capturing each takes seconds; ModernBERT has two kinds of them.
        layers = 2 if family == "modernbert" else 1
        return encoder.load(save_base(family, folder, layers=layers), LABELS).model, encoder

    return make


def convolutional(_: Path) -> Model:
    """Make a tiny TextCNN."""
    options = TextCNNOptions(embed_size=16, num_filters=8, filter_sizes=[2, 3])
    return textcnn.create(options, LABELS, vocabulary=WORDS, pad_token_id=0).model, textcnn


# One of each way of attending. In make test, tests/worker/export/test_exporter.py makes every format of a BERT, and
# tests/worker/export/test_onnx.py takes ONNX through every family there is.
MODELS: dict[str, Callable[[Path], Model]] = {
    **{family: pretrained(family) for family in ("bert", "distilbert", "roberta", "deberta-v2", "modernbert")},
    "textcnn": convolutional,
}


def random_rows(base: Path, pad: int) -> Batches:
    """Draw texts of all lengths, as ids."""
    random = np.random.default_rng(5)
    lengths = random.integers(2, 30, ROWS)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = random.integers(5, WORDS, int(starts[-1])).astype(np.int32)
    settings = SETTINGS.model_copy(update={"pad_token_id": pad})
    text_encoder = TextEncoder.from_files(base / "tokenizer.json", settings, TextOptions())
    return Batches(Encoded(tokens, starts, random.integers(0, 3, ROWS), 0), text_encoder)


QUICK = {"textcnn"}


@pytest.mark.usefixtures("brief_measurements")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MODELS]
)
def test_formats_agree_with_the_trained_model(name: str, tiny_base: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model, kind = MODELS[name](tmp_path / "base")
    head = next(layer for layer in reversed(list(model.modules())) if isinstance(layer, torch.nn.Linear))
    torch.nn.init.normal_(head.weight, std=1.0)
    pad = int(model.config.pad_token_id)
    rows = random_rows(tiny_base, pad)
    source = source_of(
        model.eval(),
        tiny_base,
        tmp_path / "bundle",
        pad_token_id=pad,
        longest=READS,
        reload=lambda folder: kind.load(folder, LABELS).model,
    )
    warnings: list[JobWarning] = []
    # Random weights are the worst that can happen to 8 bits; what they cost a trained model is the gate's to say.
    gate = gate_of(rows, max_metric_drop=1, min_label_agreement=0.75)
    verdicts = Exporter(source, rows, gate, nothing, warnings.append).export(list(FORMATS))

    assert warnings == []
    assert [verdict.format for verdict in verdicts if verdict.passed] == list(FORMATS)
    for verdict in verdicts:
        assert verdict.rows == ROWS
        if verdict.format != "onnx-int8":
            assert verdict.label_agreement == 1.0
            assert verdict.max_abs_difference < (0.05 if verdict.format == "onnx-fp16" else 1e-4)
