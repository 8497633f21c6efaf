"""Distillation against its definition, and with a real teacher in a whole run."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from app.artifacts.bundle import Bundle
from app.errors import JobFailure
from app.schemas.distillation import DistillationOptions
from app.schemas.text import TextOptions
from app.serving.predictor import Predictor
from tests.worker.data.test_prepare import prepared
from tests.worker.toy_task import LABELS, Recording, spec_maker, toy_rows
from worker.data.rows import Rows
from worker.events import AttemptSpec, Resolved
from worker.memory import Portion
from worker.models.registry import load_trained
from worker.pipeline import run
from worker.teaching import Classroom, Taught, ask
from worker.training.distillation import Distillation
from worker.training.losses import WindowLoss

SPLITS = [*toy_rows(96), *toy_rows(30, split="validation")]
LONG: dict[str, Any] = {"num_train_epochs": 8, "early_stopping_patience": None}


def options(**changes: Any) -> DistillationOptions:
    return DistillationOptions(**{"teacher": "model:large", **changes})


@settings(max_examples=60, deadline=None)
@given(temperature=st.floats(0.5, 20), alpha=st.floats(0.05, 1.0), seed=st.integers(0, 1000))
def test_loss_is_that_of_the_paper(temperature: float, alpha: float, seed: int) -> None:
    """alpha T^2 KL(teacher || student) at temperature T, plus 1 - alpha times cross-entropy; in double precision."""
    torch.manual_seed(seed)
    student, teacher, labels = torch.randn(6, 4), torch.randn(6, 4) * 3, torch.randint(4, (6,))
    loss = WindowLoss(None, 0.0)
    share = loss.share(student, labels, loss.total_weight(labels))
    mixed = Distillation(options(temperature=temperature, alpha=alpha)).mix(share, student, teacher, 6)

    p = torch.softmax(teacher.double() / temperature, dim=1)
    q = torch.softmax(student.double() / temperature, dim=1)
    divergence = (p * (p.log() - q.log())).sum(dim=1).mean()
    expected = alpha * temperature**2 * divergence + (1 - alpha) * functional.cross_entropy(student.double(), labels)
    assert float(mixed) == pytest.approx(float(expected), rel=1e-5, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), seed=st.integers(0, 100))
def test_parts_of_a_window_add_up_to_the_big_batch(sizes: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    rows = sum(sizes)
    student, teacher, labels = torch.randn(rows, 3), torch.randn(rows, 3), torch.randint(3, (rows,))
    loss, distillation = WindowLoss(torch.tensor([0.5, 1.0, 3.0]), 0.1), Distillation(options())
    divisor = loss.total_weight(labels)
    whole = distillation.mix(loss.share(student, labels, divisor), student, teacher, rows)
    parts = [
        distillation.mix(loss.share(one, truth, divisor), one, wise, rows)
        for one, wise, truth in zip(student.split(sizes), teacher.split(sizes), labels.split(sizes), strict=True)
    ]
    assert float(torch.stack(parts).sum()) == pytest.approx(float(whole), abs=1e-6)


def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn_from_it() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    loss = Distillation(options(alpha=1.0)).mix(torch.zeros(()), logits, logits.detach().clone(), 4)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert torch.allclose(logits.grad, torch.zeros(4, 3), atol=1e-6)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, brief_measurements: None) -> Path:
    """The bundle of a model that knows the task, its labels in another order than the student's."""
    make = spec_maker(tmp_path_factory.mktemp("teacher"), tiny_base)
    spec = make(SPLITS, name="teacher", labels=["sad", "glad", "calm"], **LONG)
    run(spec, Recording(), lambda: False)
    return spec.bundle_dir


@pytest.fixture
def teacher(learned: Path, restored_torch: None, tmp_path: Path) -> Path:
    """That model as the registry hands it out, in a folder of this test."""
    folder = tmp_path / "teacher-version"
    shutil.copytree(learned / "weights", folder)
    shutil.copy(learned / "tokenizer.json", folder)
    return folder


def classroom(folder: Path) -> Classroom:
    return Classroom(torch.device("cpu"), Portion(8, lambda _: None), TextOptions(), folder, lambda: None)


def test_answers_are_the_teachers_own_row_by_row(teacher: Path, tmp_path: Path, tiny_base: Path) -> None:
    data = prepared(tmp_path, tiny_base, SPLITS)
    answers = ask(teacher, options(), data.rows, LABELS, classroom(tmp_path))
    model = load_trained(teacher, LABELS).model.train(mode=False)
    for row in (0, 7, 31):
        ids = torch.tensor([data.encoder.encode([data.rows.texts[row]]).ids[0].tolist()])
        with torch.inference_mode():
            expected = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        assert torch.allclose(answers[row], expected, atol=1e-5)
    assert float((answers.argmax(dim=1).numpy() == np.array(data.rows.labels)).mean()) > 0.9
    batch = Taught(data.lessons, answers).load(np.array([5, 3]))
    assert batch.teacher is not None
    assert torch.equal(batch.teacher, answers[[5, 3]])


def test_a_version_of_our_own_reads_as_it_does_when_it_is_served(
    make_spec: Any, restored_torch: None, tmp_path: Path
) -> None:
    """Its own cleaning and length, not the student's, whose options may be others."""
    anonymous = {"text": {"strip_mentions": True}}
    spec = make_spec(SPLITS, name="served", max_length=8, num_train_epochs=1, request=anonymous)
    run(spec, Recording(), lambda: False)
    shutil.copy(spec.bundle_dir / "tokenizer.json", spec.bundle_dir / "weights")  # as the registry hands it out
    texts = ["glad @somebody_else sad", "calm " * 40 + "glad"]
    answers = ask(spec.bundle_dir / "weights", options(), Rows(texts, [0, 1]), LABELS, classroom(tmp_path))
    predictor = Predictor.load(Bundle.open(spec.bundle_dir))
    served = predictor.logits(predictor.encoder.encode(texts).ids)
    assert np.allclose(answers.numpy(), served, atol=1e-4)


def test_a_teacher_of_label_sets_is_refused(teacher: Path, tmp_path: Path) -> None:
    config = json.loads((teacher / "config.json").read_bytes())
    (teacher / "config.json").write_text(json.dumps(config | {"problem_type": "multi_label_classification"}))
    with pytest.raises(JobFailure) as caught:
        ask(teacher, options(), Rows(["x"], [0]), LABELS, classroom(tmp_path))
    assert caught.value.code == "teacher-knows-other-labels" and "any number" in caught.value.detail


def test_labels_by_other_names_are_matched(teacher: Path, tmp_path: Path) -> None:
    rows = Rows([row.text for row in toy_rows(9)], [index % 3 for index in range(9)])
    plain = ask(teacher, options(), rows, LABELS, classroom(tmp_path))
    shouted = ask(teacher, options(), rows, [label.upper() for label in LABELS], classroom(tmp_path))
    mapped = ask(
        teacher, options(labels={"0": "calm", "1": "glad", "2": "sad"}), rows, ["0", "1", "2"], classroom(tmp_path)
    )
    assert torch.equal(plain, shouted)
    assert torch.equal(plain, mapped)


def test_a_teacher_of_other_labels_is_refused(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(JobFailure) as caught:
        ask(teacher, options(), Rows(["x"], [0]), ["calm", "glad", "furious"], classroom(tmp_path))
    assert caught.value.code == "teacher-knows-other-labels"
    assert "distillation.labels" in (caught.value.remedy or "")


def test_a_base_model_without_a_trained_head_is_no_teacher(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(JobFailure) as caught:
        ask(tiny_base, options(), Rows(["x"], [0]), ["LABEL_0", "LABEL_1"], classroom(tmp_path))
    assert caught.value.code == "teacher-knows-other-labels"


def test_student_learns_from_the_teacher_alone(teacher: Path, make_spec: Any, recording: Any) -> None:
    """With alpha 1 the labels count for nothing, and yet it learns them; the job says how."""
    wise = {"teacher": "model:large", "revision": "1", "alpha": 1.0}
    spec: AttemptSpec = make_spec(SPLITS, name="student", distillation=wise, **LONG)
    run(spec.model_copy(update={"teacher_dir": teacher}), recording, lambda: False)
    [resolved] = recording.of(Resolved)
    assert resolved.hyperparameters.distillation == options(revision="1", alpha=1.0)
    best = max(event.metric_value for event in recording.events if event.type == "evaluated")
    assert best > 0.9
