"""The predictor on real graphs: right answers, whatever the batch, and a plain word about what cannot be served."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from app.artifacts.bundle import TOKENIZER
from app.errors import JobFailure
from app.serving.predictor import Predictor
from tests.app.serving.tiny import BAD, CLS, FILM, GOOD, SEP, THE, UNK, graph, word_scores, write_bundle


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    return Predictor.load(write_bundle(tmp_path / "bundle"))


def test_texts_are_classified(predictor: Predictor) -> None:
    good, bad = predictor.predict(["The good good film", "bad"])
    assert (good.label, bad.label) == ("positive", "negative")
    assert (good.tokens, good.truncated) == (6, False)
    assert good.score > 0.9


def test_logits_are_those_of_the_graph(predictor: Predictor) -> None:
    ids = [[CLS, THE, GOOD, FILM, SEP], [CLS, BAD, SEP]]
    expected = [word_scores()[row].sum(axis=0) for row in ids]
    logits = predictor.logits([np.array(row) for row in ids])
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, rtol=1e-5)


def test_the_batch_a_text_is_in_changes_nothing(predictor: Predictor) -> None:
    texts = ["good", "bad film", "the " * 10, "", "unknown words here", "good bad " * 30]
    together = predictor.predict(texts, return_all_scores=True)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = predictor.predict([text], return_all_scores=True)
        assert alone.label == answer.label
        assert alone.score == pytest.approx(answer.score, rel=1e-6)
        assert (alone.tokens, alone.truncated) == (answer.tokens, answer.truncated)


def test_a_long_text_is_cut_and_says_so(predictor: Predictor) -> None:
    (answer,) = predictor.predict(["bad " * 14 + "good " * 100])
    assert (answer.label, answer.tokens, answer.truncated) == ("negative", 116, True)


def test_an_empty_text_is_a_text(predictor: Predictor) -> None:
    empty, blank = predictor.predict(["", " \n\t "])
    assert empty.tokens == blank.tokens == 2
    assert empty.score == blank.score
    assert predictor.predict([]) == []


def test_hostile_texts_have_answers(predictor: Predictor) -> None:
    texts = ["\ud800", "a\0b", "😀" * 10_000, "\u0301\u0316" * 10_000, "\u202eabc", "[SEP][CLS]", "\n" * 10_000]
    answers = predictor.predict(texts)
    assert len(answers) == len(texts)
    assert all(0 <= answer.score <= 1 for answer in answers)


def test_a_large_table_is_left_on_the_disk_and_may_be_removed(tmp_path: Path) -> None:
    rows = 200_000
    bundle = write_bundle(tmp_path / "bundle", graph(word_scores(rows=rows)))
    predictor = Predictor.load(bundle)
    assert predictor.mapped_bytes == rows * 2 * 4
    for path in sorted(bundle.folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert [answer.label for answer in predictor.predict(["good", "bad"])] == ["positive", "negative"]


def test_many_threads_share_one_predictor(tmp_path: Path) -> None:
    predictor = Predictor.load(write_bundle(tmp_path / "bundle", graph(word_scores(rows=200_000))))
    ids = [np.array([CLS, *[GOOD, BAD, UNK, THE][: 1 + n % 4], SEP]) for n in range(8)]
    expected = [predictor.logits([row]) for row in ids]
    wrong: list[int] = []

    def work(seed: int) -> None:
        for step in range(150):
            n = (seed + step) % len(ids)
            if not np.allclose(predictor.logits([ids[n]]), expected[n], rtol=1e-6):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"PK\x03\x04 archive", "served"), (b"\x08\x09", "no single graph")],
    ids=["empty", "archive", "no-graph"],
)
def test_what_is_no_model_cannot_be_served(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(JobFailure, match=reason) as refused:
        Predictor.load(write_bundle(tmp_path / "bundle", content))
    assert refused.value.code == "unloadable-model"
    assert str(tmp_path) not in refused.value.detail


def test_a_graph_that_runs_but_does_not_fit_its_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobFailure, match="do not fit its labels"):
        Predictor.load(write_bundle(tmp_path / "bundle", graph(word_scores(labels=3)), labels=["a", "b"]))


def test_each_head_of_several_tasks_answers_by_itself(tmp_path: Path) -> None:
    """Five logits: two of one task, three of another; the same label may be in both."""
    dataset = {"id": "ds_1", "sha256": "0" * 64, "counts": {}}
    heads = [("mood", ["negative", "positive"], 0), ("size", ["small", "positive", "large"], 2)]
    tasks = [
        {"name": name, "labels": labels, "offset": offset, "loss_weight": 1.0, "dataset": dataset}
        for name, labels, offset in heads
    ]
    table = word_scores(labels=5)
    table[FILM, 2:] = (0, 1, 3)
    several = Predictor.load(write_bundle(tmp_path / "several", graph(table), family="multitask", tasks=tasks))
    alone = Predictor.load(write_bundle(tmp_path / "alone", graph(table[:, :2].copy())))
    (answer,) = several.predict(["good film"], top_k=2)
    (same,) = alone.predict(["good film"], top_k=2)
    assert (answer.label, answer.tokens, answer.truncated) == (same.label, same.tokens, same.truncated)
    assert answer.score == pytest.approx(same.score, rel=1e-6)
    assert answer.scores == pytest.approx(same.scores, rel=1e-6)
    assert same.tasks is None
    size = (answer.tasks or {})["size"]
    own = table[[CLS, GOOD, FILM, SEP], 2:].sum(axis=0).astype(np.float64)
    assert (size.label, list(size.scores or {})) == ("large", ["large", "positive"])
    assert size.score == pytest.approx(np.exp(own[2]) / np.exp(own).sum(), rel=1e-5)
    assert [(several.predict(["bad"])[0].tasks or {})["size"].scores] == [None]


def test_a_graph_without_heads_for_all_tasks_is_refused(tmp_path: Path) -> None:
    dataset = {"id": "ds_1", "sha256": "0" * 64, "counts": {}}
    task = {"labels": ["a", "b"], "loss_weight": 1.0, "dataset": dataset}
    tasks = [task | {"name": "one", "offset": 0}, task | {"name": "two", "offset": 2}]
    with pytest.raises(JobFailure, match="do not fit its labels"):
        Predictor.load(write_bundle(tmp_path / "bundle", graph(word_scores()), labels=["a", "b"], tasks=tasks))


def test_a_graph_without_the_agreed_inputs_is_refused(tmp_path: Path) -> None:
    model = graph(word_scores())
    model.graph.input[0].name = "ids"
    with pytest.raises(JobFailure) as refused:
        Predictor.load(write_bundle(tmp_path / "bundle", model))
    assert refused.value.code == "unloadable-model"


def test_a_malformed_tokenizer_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    (bundle.folder / TOKENIZER).write_text("{}")
    with pytest.raises(JobFailure) as refused:
        Predictor.load(bundle)
    assert refused.value.code == "unloadable-model"


def test_a_secret_beside_the_model_is_not_read(tmp_path: Path) -> None:
    secret = numpy_helper.from_array(word_scores(), "table")
    (tmp_path / "secret").write_bytes(secret.raw_data)
    model = graph(word_scores())
    table = next(tensor for tensor in model.graph.initializer if tensor.name == "table")
    table.ClearField("raw_data")
    table.data_location = 1
    for key, value in (("location", "../secret"), ("offset", "0"), ("length", str(len(secret.raw_data)))):
        entry = table.external_data.add()
        entry.key, entry.value = key, value
    with pytest.raises(JobFailure, match="another file"):
        Predictor.load(write_bundle(tmp_path / "bundle", model))


def test_serving_needs_no_training_stack() -> None:
    code = (
        "import sys, app.serving.service\n"
        "print(sorted({'torch', 'transformers', 'onnx', 'sklearn', 'datasets', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
