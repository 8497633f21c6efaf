"""Versions that read chunks or both ends, and versions that refuse: in the predictor and by the card's own program."""

import contextlib
import io
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from app.errors import JobFailure, Unprocessable
from app.reports.model_card import program
from app.schemas.text import TokenizerSettings
from app.serving.loaded import LoadedVersion, warm_up
from app.serving.predictor import Predictor
from app.serving.waiting import Gauge
from tests.app.serving.tiny import PAD, graph, word_scores, write_bundle

IN_CHUNKS = TokenizerSettings(max_length=8, pad_token_id=PAD, long_text="hierarchical", max_chunks=3)
BOTH_ENDS = TokenizerSettings(max_length=8, pad_token_id=PAD, long_text="head_tail")
LATE = "the " * 14 + "good good good"
"""What it says stands behind the second chunk, and at the end."""


def chunk_graph() -> onnx.ModelProto:
    """Sum the scores of the words of all chunks of a document."""
    model = graph(word_scores())
    made = model.graph
    made.node[-1].output[0] = "of_chunk"  # (chunks, labels)
    made.node.extend(
        [
            helper.make_node("Relu", ["index32"], ["rows32"]),
            helper.make_node("Cast", ["rows32"], ["chosen"], to=TensorProto.INT64),
            helper.make_node("Gather", ["of_chunk", "chosen"], ["of_text"]),  # (batch, most, labels)
            helper.make_node("Sub", ["index32", "rows32"], ["missing"]),  # -1 where there is no chunk
            helper.make_node("Add", ["missing", "one"], ["present"]),
            helper.make_node("Unsqueeze", ["present", "last"], ["present_column"]),
            helper.make_node("Mul", ["of_text", "present_column"], ["own"]),
            helper.make_node("ReduceSum", ["own", "second"], ["logits"], keepdims=0),
        ]
    )
    made.node.insert(0, helper.make_node("Cast", ["chunk_index"], ["index32"], to=TensorProto.FLOAT))
    made.initializer.append(helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]))
    made.input.append(helper.make_tensor_value_info("chunk_index", TensorProto.INT64, ["texts", "most"]))
    made.output[0].CopyFrom(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["texts", 2]))
    return model


def test_a_document_in_chunks_is_read_to_its_end(tmp_path: Path) -> None:
    whole = Predictor.load(
        write_bundle(tmp_path / "whole", tokenizer=IN_CHUNKS.model_copy(update={"max_chunks": None}))
    )
    predictor = Predictor.load(write_bundle(tmp_path / "chunks", chunk_graph(), tokenizer=IN_CHUNKS))
    assert predictor.predict([LATE])[0].score > 0.9 > whole.predict([LATE])[0].score
    answers = predictor.predict([LATE, "bad", "", "bad " + "the " * 17, "the " * 18 + "good good"])
    assert [answer.tokens for answer in answers] == [19, 3, 2, 20, 22]
    assert [answer.truncated for answer in answers] == [False, False, False, False, True]
    assert [answer.label for answer in answers[:2]] == ["positive", "negative"]
    for text, answer in zip([LATE, "bad"], answers, strict=False):
        assert predictor.predict([text])[0].score == pytest.approx(answer.score, rel=1e-6)
    predictor.rest()
    warm_up(LoadedVersion("mood", 1, predictor, bytes=0, gauge=Gauge()))


def test_a_graph_without_chunks_cannot_serve_a_version_that_has_them(tmp_path: Path) -> None:
    with pytest.raises(JobFailure) as refused:
        Predictor.load(write_bundle(tmp_path / "bundle", graph(word_scores()), tokenizer=IN_CHUNKS))
    assert refused.value.code == "unloadable-model"


def test_both_ends_are_read(tmp_path: Path) -> None:
    predictor = Predictor.load(write_bundle(tmp_path / "bundle", tokenizer=BOTH_ENDS))
    [answer] = predictor.predict([LATE])
    assert (answer.label, answer.tokens, answer.truncated) == ("positive", 19, True)
    assert np.array_equal(predictor.encoder.encode(["good"]).ids[0], [2, 4, 3])


def test_a_version_that_cuts_nothing_names_what_is_too_long(tmp_path: Path) -> None:
    settings = TokenizerSettings(max_length=8, pad_token_id=PAD, long_text="error")
    predictor = Predictor.load(write_bundle(tmp_path / "bundle", tokenizer=settings))
    assert predictor.predict(["good " * 6])[0].label == "positive"
    with pytest.raises(Unprocessable) as refused:
        predictor.predict(["good", "good " * 7, "bad", "bad " * 9])
    assert [error.pointer for error in refused.value.errors] == ["/inputs/1", "/inputs/3"]
    assert refused.value.detail.startswith("/inputs/1 has 9 tokens; this version reads 8 tokens")


@pytest.mark.parametrize(
    ("settings", "model"),
    [(IN_CHUNKS, chunk_graph()), (IN_CHUNKS.model_copy(update={"overlap": 2}), chunk_graph()), (BOTH_ENDS, None)],
    ids=["chunks", "overlapping chunks", "both ends"],
)
def test_the_program_of_the_card_reads_as_the_server_does(
    settings: TokenizerSettings, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = write_bundle(tmp_path / "bundle", model, tokenizer=settings)
    texts = [LATE, "bad film", "bad " + "the " * 30 + "good"]
    file = bundle.folder / "program.py"
    file.write_text(program(bundle.manifest).replace('["Write your own texts here."]', repr(texts)))
    monkeypatch.chdir(bundle.folder)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        runpy.run_path(str(file))
    served = Predictor.load(bundle).predict(texts)
    for line, answer in zip(said.getvalue().splitlines(), served, strict=True):
        label, score, *_ = line.split()
        assert (label, float(score)) == (answer.label, pytest.approx(answer.score, abs=1e-4))


def test_the_program_of_a_version_that_refuses_refuses_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TokenizerSettings(max_length=8, pad_token_id=PAD, long_text="error")
    bundle = write_bundle(tmp_path / "bundle", tokenizer=settings)
    file = bundle.folder / "program.py"
    file.write_text(program(bundle.manifest).replace("Write your own texts here.", LATE))
    monkeypatch.chdir(bundle.folder)
    with pytest.raises(AssertionError, match="too long"):
        runpy.run_path(str(file))
