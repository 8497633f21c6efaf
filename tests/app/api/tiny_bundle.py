"""A bundle whose model can be read at a glance: the word good means label a, the word bad label b."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from app.artifacts.bundle import MANIFEST, ONNX, TOKENIZER, Bundle, Manifest, describe_files
from app.schemas.judgements import AnswersRef
from app.significance.answers import FILE, Answers, save

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3}
SCORES = np.asarray([[0, 0], [0, 0], [3, 0], [0, 3]], np.float32)  # (word, label)


def write(folder: Path, manifest: Manifest, answers: Answers | None = None) -> tuple[Bundle, str]:
    """Write the bundle and give it with the hash of its manifest."""
    folder.mkdir(parents=True)
    if answers is not None:
        save(answers, folder / FILE)
        manifest = manifest.model_copy(update={"answers": AnswersRef(file=FILE, split="test", rows=len(answers))})
    write_model(folder)
    if manifest.serve != "onnx":
        # Good and bad change places, so that an answer tells which file gave it.
        onnx.save(graph(SCORES[[0, 1, 3, 2]]), str(folder / manifest.served_file))
    complete = manifest.model_copy(update={"files": describe_files(folder)})
    (folder / MANIFEST).write_text(complete.model_dump_json())
    return Bundle.open(folder), hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def write_model(folder: Path) -> None:
    """Write the graph and its tokenizer."""
    onnx.save(graph(), str(folder / ONNX))
    tokenizer = Tokenizer(WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / TOKENIZER))


def graph(scores: NDArray[np.float32] = SCORES) -> onnx.ModelProto:
    """Sum the scores of the words that the mask lets through."""
    whole = ["batch", "seq"]
    nodes = [
        helper.make_node("Gather", ["scores", "input_ids"], ["by_word"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide_mask"]),
        helper.make_node("Mul", ["by_word", "wide_mask"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["logits"], keepdims=0),
    ]
    constants = {"scores": scores, "last": np.asarray([2], np.int64), "middle": np.asarray([1], np.int64)}
    body = helper.make_graph(
        nodes,
        "words",
        [helper.make_tensor_value_info(name, TensorProto.INT64, whole) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
