"""Several tasks at once: the loss is its formula, heads are judged apart, and a version goes on from another."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.artifacts.bundle import Bundle
from app.schemas.jobs import ExportOptions
from app.schemas.metrics import Evaluation
from app.serving.predictor import Predictor
from tests.worker.simulated_memory import SimulatedMemory
from tests.worker.toy_task import MakeSpec, Recording, Row, toy_moods, toy_rows
from worker.events import AttemptSpec, Evaluated, Resolved, Warned
from worker.export.registry import FORMATS
from worker.heads import Head
from worker.models import encoder
from worker.models.head import head_parameters
from worker.narration import Narrator
from worker.pipeline import run
from worker.setup import set_up
from worker.training.events import Split, Step
from worker.training.loop import Training
from worker.training.losses import WindowLoss
from worker.training.multitask import MultitaskLoss

HEADS = [Head("main", ["a", "b", "c"], 0, 0.7), Head("mood", ["a", "z"], 3, 0.3), Head("size", ["s", "m", "l"], 5, 2.0)]
TASK_OF = [0, 0, 0, 1, 1, 2, 2, 2]
FAMILY = {
    "type": "multitask",
    "name": "tone",
    "loss_weight": 0.7,
    "tasks": {"mood": {"dataset_id": "ds_mood", "loss_weight": 0.3}},
}
SPLITS = ("train", "validation", "test")
MOODS = [row for count, split in zip((40, 20, 10), SPLITS, strict=True) for row in toy_moods(count, split=split)]
ROWS = [row for count, split in zip((60, 24, 12), SPLITS, strict=True) for row in toy_rows(count, split=split)]


def never() -> bool:
    return False


def nothing(_: object = None) -> None:
    """Hear an event, or check whether to stop."""


def by_hand(logits: np.ndarray, labels: np.ndarray, weights: list[float], smoothing: float, gamma: float) -> float:
    """Compute the loss of a window row by row, in float64."""
    sums, divisors = [0.0] * len(HEADS), [0.0] * len(HEADS)
    for row, label in zip(logits.astype(np.float64), labels.tolist(), strict=True):
        task = TASK_OF[label]
        head = HEADS[task]
        own, place = row[head.columns], label - head.start
        weight = np.array(weights) if task == 0 else np.ones(len(own))
        log_likely = own - own.max() - math.log(np.exp(own - own.max()).sum())
        target = np.full(len(own), smoothing / len(own)) + (1 - smoothing) * (np.arange(len(own)) == place)
        sums[task] += -(weight * target * (1 - np.exp(log_likely)) ** gamma * log_likely).sum()
        divisors[task] += weight[place]
    return sum(
        head.loss_weight * total / divisor
        for head, total, divisor in zip(HEADS, sums, divisors, strict=True)
        if divisor
    )


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    weights=st.lists(st.floats(0.1, 10), min_size=3, max_size=3),
    smoothing=st.sampled_from([0.0, 0.1]),
    gamma=st.sampled_from([0.0, 2.0]),
    seed=st.integers(0, 1000),
)
def test_the_shares_of_a_window_add_up_to_the_formula(
    sizes: list[int], weights: list[float], smoothing: float, gamma: float, seed: int
) -> None:
    """Batches of any size, some tasks perhaps without a row in one of them, or in all."""
    torch.manual_seed(seed)
    logits, labels = torch.randn(sum(sizes), 8, requires_grad=True), torch.randint(8, (sum(sizes),))
    others = [WindowLoss(None, smoothing, gamma) for _ in HEADS[1:]]
    loss = MultitaskLoss(HEADS, [WindowLoss(torch.tensor(weights), smoothing, gamma), *others])
    divisors = loss.total_weight(labels)
    parts = zip(logits.split(sizes), labels.split(sizes), strict=True)
    total = torch.stack([loss.share(part, answers, divisors) for part, answers in parts]).sum()
    expected = by_hand(logits.detach().numpy(), labels.numpy(), weights, smoothing, gamma)
    assert float(total.detach()) == pytest.approx(expected, abs=1e-6, rel=1e-6)

    total.backward()
    own = torch.zeros_like(logits, dtype=torch.bool)
    for row, label in enumerate(labels.tolist()):
        own[row, HEADS[TASK_OF[label]].columns] = True
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[~own].any()


@pytest.fixture(params=[["onnx-int8"], pytest.param(list(FORMATS)[1:], marks=pytest.mark.slow)], ids=["int8", "every"])
def trained(
    make_spec: MakeSpec, recording: Recording, restored_torch: None, request: pytest.FixtureRequest
) -> AttemptSpec:
    """An attempt at two tasks that share a label, to the end."""
    del restored_torch
    wishes = ExportOptions(formats=request.param, min_label_agreement=0.5, max_metric_drop=0.5)
    spec = make_spec(
        ROWS, request={"family": FAMILY}, tasks={"mood": MOODS}, num_train_epochs=6, batch_size=8, export=wishes
    )
    run(spec, recording, never)
    return spec


def uncalibrated(judged: Evaluation) -> Evaluation:
    """Leave out what was found after training: how far the probabilities can be taken at their word."""
    tasks = {name: scores.model_copy(update={"calibration": None}) for name, scores in judged.tasks.items()}
    return judged.model_copy(update={"calibration": None, "tasks": tasks})


def test_every_head_is_judged_on_its_own_rows_and_served(trained: AttemptSpec, recording: Recording) -> None:
    bundle = Bundle.open(trained.bundle_dir)
    manifest = bundle.manifest
    assert [(task.name, task.labels, task.offset, task.loss_weight, task.dataset.id) for task in manifest.tasks] == [
        ("tone", ["calm", "glad", "sad"], 0, 0.7, "ds_toy"),
        ("mood", ["fine", "sad"], 3, 0.3, "ds_mood"),
    ]
    assert manifest.tasks[1].dataset == trained.tasks[0].dataset
    assert (manifest.family, manifest.labels) == ("multitask", ["calm", "glad", "sad"])
    *validations, test = [event.evaluation for event in recording.of(Evaluated)]
    assert {(each.examples, each.tasks["mood"].examples) for each in validations} == {(24, 20)}
    assert (test.examples, test.tasks["mood"].examples) == (12, 10)
    assert [scores.label for scores in test.tasks["mood"].per_class] == ["fine", "sad"]
    assert manifest.test == test
    assert manifest.validation is not None
    assert uncalibrated(manifest.validation) in validations
    [resolved] = recording.of(Resolved)
    assert resolved.total_steps == 6 * math.ceil(100 / 8)
    assert next(each.value for each in resolved.resolutions if each.field == "tasks") == {"tone": 60.0, "mood": 40.0}
    assert recording.of(Warned) == []

    predictor = Predictor.load(bundle)
    for rows, judged in ((ROWS, test), (MOODS, test.tasks["mood"])):
        held_out = [row for row in rows if row.split == "test"]
        answers = predictor.predict([row.text for row in held_out], return_all_scores=True)
        given = [answer.label if rows is ROWS else (answer.tasks or {})["mood"].label for answer in answers]
        right = [label == row.label for label, row in zip(given, held_out, strict=True)]
        assert np.mean(right) == pytest.approx(judged.accuracy)
        for answer in answers:
            mood = (answer.tasks or {})["mood"]
            for scores in (answer.scores, mood.scores):
                assert scores and sum(scores.values()) == pytest.approx(1)
            assert next(iter((answer.scores or {}).items())) == (answer.label, answer.score)
    formats = ["onnx", *trained.request.export.formats]
    assert [verdict.format for verdict in manifest.exports if verdict.passed] == formats


@pytest.mark.usefixtures("restored_torch")
def test_a_version_of_several_tasks_is_where_another_goes_on(make_spec: MakeSpec, tmp_path: Path) -> None:
    """The same tasks keep their heads, whatever their order; other ones begin with the encoder alone."""
    trained = make_spec(ROWS, name="first", request={"family": FAMILY}, tasks={"mood": MOODS}, max_steps=3)
    run(trained, Recording(), never)
    base = tmp_path / "version"
    shutil.copytree(trained.bundle_dir / "weights", base)
    shutil.copy(trained.bundle_dir / "tokenizer.json", base)
    names = ["mood/sad", "mood/fine", "tone/calm", "tone/glad", "tone/sad"]
    assert encoder.load(base, names).head_kept
    assert json.loads((base / "config.json").read_bytes())["heads"] == [
        {"name": "tone", "labels": ["calm", "glad", "sad"], "offset": 0},
        {"name": "mood", "labels": ["fine", "sad"], "offset": 3},
    ]
    assert not encoder.load(base, ["calm", "glad", "sad"]).head_kept

    again = Recording()
    request = {"family": FAMILY, "base_model": "model:toy"}
    wishes = {"max_steps": 1, "learning_rate": 1e-9, "head_learning_rate_multiplier": "auto"}
    spec = make_spec(ROWS, name="again", base=base, request=request, tasks={"mood": MOODS}, **wishes)
    run(spec, again, never)
    before, after = (Bundle.open(each.bundle_dir, only=()).manifest.test for each in (trained, spec))
    assert before is not None and after is not None
    assert after.loss == pytest.approx(before.loss, abs=1e-5)
    assert after.tasks["mood"].loss == pytest.approx(before.tasks["mood"].loss, abs=1e-5)

    alone = make_spec(ROWS, name="alone", base=base, request={"base_model": "model:toy"}, max_steps=1)
    setup = set_up(alone, Narrator(nothing), nothing)
    assert not hasattr(setup.model.config, "heads")
    assert setup.model.config.id2label == {0: "calm", 1: "glad", 2: "sad"}


@pytest.mark.usefixtures("restored_torch")
def test_a_task_without_test_rows_is_left_out_of_the_test(make_spec: MakeSpec, recording: Recording) -> None:
    moods = [row for row in MOODS if row.split != "test"]
    augmentation = {"techniques": ["random_swap"], "probability": 0.2}
    spec = make_spec(ROWS, request={"family": FAMILY}, tasks={"mood": moods}, max_steps=2, augmentation=augmentation)
    run(spec, recording, never)
    validation, test = [event.evaluation for event in recording.of(Evaluated)]
    assert (set(validation.tasks), set(test.tasks)) == ({"mood"}, set())


@pytest.mark.usefixtures("restored_torch")
def test_rows_of_one_task_do_not_teach_another_s_head(make_spec: MakeSpec) -> None:
    """With the base frozen, the second head learns the same whatever the first task's labels are."""
    shuffled = [Row(row.text, "calm" if row.split == "train" else row.label, row.split) for row in ROWS]
    losses = []
    for name, rows in (("true", ROWS), ("false", shuffled)):
        heard = Recording()
        spec = make_spec(
            rows, name=name, request={"family": FAMILY}, tasks={"mood": MOODS}, max_steps=8, freeze_base=True,
            max_grad_norm=None, dropout=0.0, deterministic=True,
        )  # fmt: skip
        run(spec, heard, never)
        losses.append(next(event.evaluation for event in heard.of(Evaluated)))
    assert losses[0].tasks["mood"].loss == pytest.approx(losses[1].tasks["mood"].loss, abs=1e-6)
    assert losses[0].loss != pytest.approx(losses[1].loss, abs=1e-2)


@pytest.mark.usefixtures("restored_torch")
def test_batches_that_go_through_in_parts_teach_the_same(make_spec: MakeSpec) -> None:
    """The parts of a window hold rows of some tasks only, and still add up to its loss."""
    losses: list[list[float]] = []
    memory = SimulatedMemory()
    for name in ("whole", "parts"):
        wishes = {
            "max_steps": 4,
            "batch_size": 8,
            "gradient_accumulation_steps": 2,
            "logging_steps": 1,
            "precision": "fp32",
        }
        spec = make_spec(ROWS, name=name, request={"family": FAMILY}, tasks={"mood": MOODS}, **wishes)
        setup = set_up(spec, Narrator(nothing), nothing)
        for module in setup.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # a part draws others than the whole would
        training = Training(
            setup.model,
            setup.data.lessons,
            setup.data.hyperparameters,
            labels=spec.labels,
            head=head_parameters(setup.model),
            total_steps=setup.data.total_steps,
            device=setup.device,
            folder=spec.work_dir,
            evaluate=None,
            heads=setup.heads,
        )
        with memory:
            events = list(training.run(never))
        assert any(isinstance(event, Split) for event in events) is (name == "parts")
        losses.append([event.loss for event in events if isinstance(event, Step)])
        memory = SimulatedMemory(limit=memory.peak / 3)
    assert len(losses[0]) == 4
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
