"""Small real models for the tests of serving: a bag of words as an ONNX graph, in a bundle, registered or not."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from app.artifacts.bundle import MANIFEST, ONNX, TOKENIZER, Bundle, Manifest, describe_files
from app.schemas.jobs import BaseModelRef, DatasetRef
from app.schemas.text import TextOptions, TokenizerSettings

LABELS = ("negative", "positive")
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "the")
PAD, UNK, CLS, SEP, GOOD, BAD, FILM, THE = range(8)
OPSETS = [helper.make_opsetid("", 17)]


def word_scores(labels: int = 2, rows: int = len(WORDS)) -> NDArray[np.float32]:
    """Give the logits each word adds: good for the second label, bad for the first; the rest is noise."""
    table = np.random.default_rng(7).normal(0, 0.01, (rows, labels)).astype(np.float32)
    table[GOOD, :2], table[BAD, :2] = (-1, 2), (2, -1)
    return table


def graph(
    table: NDArray[np.float32], bias: Sequence[float] = (), *, ballast: int = 0, nodes: Sequence[onnx.NodeProto] = ()
) -> onnx.ModelProto:
    """Build logits = sum of the rows of a text's words + bias; ``ballast`` bytes of a constant that is really used."""
    labels = table.shape[1]
    constants = {
        "table": table,
        "bias": np.array(bias or [0.0] * labels, np.float32),
        "last": np.array([-1], np.int64),
        "second": np.array([1], np.int64),
        "ballast": np.zeros((labels, max(ballast // 4 // labels, 1)), np.float32),
    }
    steps = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),  # (batch, seq, labels)
        helper.make_node("Cast", ["attention_mask"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weights", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "second"], ["summed"], keepdims=0),
        helper.make_node("Add", ["summed", "bias"], ["scored"]),
        helper.make_node("MatMul", ["scored", "ballast"], ["wide"]),
        helper.make_node("ReduceSum", ["wide", "second"], ["nothing"], keepdims=1),
        helper.make_node("Add", ["scored", "nothing"], ["logits"]),
        *nodes,
    ]
    both = ["batch", "sequence"]
    made = helper.make_graph(
        steps,
        "bag-of-words",
        [helper.make_tensor_value_info(name, TensorProto.INT64, both) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(made, opset_imports=OPSETS, ir_version=9)


def tokenizer() -> Tokenizer:
    """Make the tokenizer of these words."""
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.BertProcessing(("[SEP]", SEP), ("[CLS]", CLS))
    return made


def write_bundle(folder: Path, model: onnx.ModelProto | bytes | None = None, /, **fields: Any) -> Bundle:
    """Write a complete bundle; ``fields`` replace those of its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    content = model if isinstance(model, bytes) else (model or graph(word_scores())).SerializeToString()
    (folder / ONNX).write_bytes(content)
    (folder / TOKENIZER).write_text(tokenizer().to_str())
    (folder / "weights").mkdir(exist_ok=True)
    (folder / "weights" / "model.safetensors").write_bytes(b"weights are not needed to serve")
    described: dict[str, Any] = {
        "model": "mood",
        "job_id": "job_1",
        "attempt": 1,
        "created_at": datetime.now(UTC),
        "family": "encoder",
        "labels": list(LABELS),
        "text": TextOptions(),
        "tokenizer": TokenizerSettings(max_length=16, pad_token_id=PAD),
        "base_model": BaseModelRef(id="minilm-l6", source="package"),
        "dataset": DatasetRef(id="ds_1", sha256="0" * 64, counts={"train": 2}),
        "hyperparameters": {},
        "resolutions": [],
        "validation": None,
        "test": None,
        "exports": [],
        "libraries": {},
        "files": describe_files(folder),
    }
    manifest = Manifest.model_validate(described | fields)
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return Bundle.open(folder)
