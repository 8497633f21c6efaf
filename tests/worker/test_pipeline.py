"""A whole attempt, from rows to a verified bundle, with a tiny random BERT."""

import math
import resource
import shutil
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from app.artifacts.bundle import GOLDEN, MANIFEST, Bundle, sha256_of
from app.errors import JobFailure
from app.reports.model_card import model_card
from app.schemas.decisions import Decision
from app.schemas.histograms import confidence_bin, token_bin
from app.schemas.issues import DataIssues
from app.schemas.jobs import ExportOptions
from app.serving.golden import read, replay
from app.serving.predictor import Predictor
from app.significance.answers import load, row_keys
from tests.worker.simulated_memory import SimulatedMemory
from tests.worker.toy_task import LABELS, MakeSpec, Recording, spec_maker, toy_rows, toy_sets
from worker import calibrating, saving
from worker.events import (
    AttemptSpec,
    BundleReady,
    Checkpointed,
    Evaluated,
    Event,
    Interrupted,
    PhaseStarted,
    Resolved,
    Resumed,
    Stepped,
    Stopped,
    Used,
    Warned,
    parse_event,
)
from worker.pipeline import run

pytestmark = pytest.mark.usefixtures("restored_torch")
ROWS = [*toy_rows(96), *toy_rows(36, split="validation"), *toy_rows(30, split="test")]


Finished = tuple[AttemptSpec, Recording]


def never() -> bool:
    return False


def run_until_export(spec: AttemptSpec, recording: Recording) -> None:
    """Run all that comes before a bundle is made; only the weights are written."""
    with pytest.raises(Interrupted):
        run(spec, recording, lambda: any(event.phase == "exporting" for event in recording.of(PhaseStarted)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, brief_measurements: None) -> Finished:
    """A whole attempt that learned the task."""
    recording = Recording()
    make = spec_maker(tmp_path_factory.mktemp("finished"), tiny_base)
    wishes = {"baselines": True}
    spec = make(ROWS, request=wishes, num_train_epochs=8, logging_steps=3, early_stopping_patience=None)
    run(spec, recording, never)
    return spec, recording


@pytest.fixture(scope="module")
def small_format(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, brief_measurements: None) -> Finished:
    """One with further formats, of which a small one is to be served."""
    wishes = ExportOptions(formats=["safetensors"], serve="onnx-int8", min_label_agreement=0.9, max_metric_drop=0.1)
    recording = Recording()
    make = spec_maker(tmp_path_factory.mktemp("small-format"), tiny_base)
    decision = {"decision": {"abstain_below": 0.9, "top_k": 2}}
    spec = make(ROWS, num_train_epochs=8, early_stopping_patience=None, export=wishes, request=decision)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrating, "FEWEST_ROWS", 30)
        run(spec, recording, never)
    return spec, recording


def as_base(spec: AttemptSpec, folder: Path) -> Path:
    """Make a base model of a finished attempt, as the worker does of a version."""
    shutil.copytree(spec.bundle_dir / "weights", folder)
    shutil.copy(spec.bundle_dir / "tokenizer.json", folder)
    return folder


def weights_of(spec: AttemptSpec) -> dict[str, torch.Tensor]:
    return load_file(spec.bundle_dir / "weights" / "model.safetensors")


def test_attempt_from_rows_to_bundle(finished: Finished) -> None:
    spec, recording = finished
    assert [event.phase for event in recording.of(PhaseStarted)] == ["preparing", "training", "evaluating", "exporting"]
    [resolved] = recording.of(Resolved)
    assert resolved.total_steps == 96
    steps = recording.of(Stepped)
    assert (steps[0].step, steps[-1].step, steps[-1].epoch) == (1, 96, 8.0)
    assert all(step.total_steps == 96 for step in steps)
    *validations, test = recording.of(Evaluated)
    assert [event.epoch for event in validations] == [float(epoch) for epoch in range(1, 9)]
    assert {event.metric_name for event in recording.of(Evaluated)} == {"f1_macro"}
    best = max((event for event in validations if event.improved), key=lambda event: event.metric_value)
    [stopped] = recording.of(Stopped)
    assert (stopped.reason, stopped.step, stopped.best_step) == ("completed", 96, best.step)
    assert (test.evaluation.split, test.step, test.improved) == ("test", best.step, False)
    assert best.metric_value > 0.9

    bundle = Bundle.open(spec.bundle_dir)
    assert recording.of(BundleReady) == [BundleReady(manifest_sha256=sha256_of(spec.bundle_dir / MANIFEST))]
    assert recording.events[-1] == recording.of(BundleReady)[0]
    manifest = bundle.manifest
    assert set(manifest.files) == {
        "golden.json",
        "answers.npz",
        "model.onnx",
        "tokenizer.json",
        "weights/config.json",
        "weights/model.safetensors",
    }
    assert manifest.labels == LABELS
    assert manifest.validation is not None and manifest.validation.calibration is not None
    assert manifest.validation.model_copy(update={"calibration": None}) == best.evaluation
    assert (manifest.validation.calibration.rows, manifest.validation.calibration.after) == (36, None)
    assert manifest.decision == Decision(note="No temperature was fitted (its 36 validation rows are fewer than 100).")
    assert manifest.test == test.evaluation
    assert manifest.hyperparameters == resolved.hyperparameters.model_dump()
    assert manifest.inspection == resolved.inspection is not None
    assert f"with {resolved.inspection.parameters:,} parameters" in model_card("mood", 1, manifest)
    [verdict] = manifest.exports
    assert verdict.passed
    assert verdict.rows == 36
    assert verdict.label_agreement == 1.0
    assert verdict.max_abs_difference < 1e-4
    [used] = recording.of(Used)
    assert set(used.usage.phases) == {"preparing", "training", "evaluating", "exporting"}
    assert used.usage.peak_memory_mb > 50
    assert used.usage.gpu_seconds is None
    assert used.usage.padding_fraction is not None
    assert 0 <= used.usage.padding_fraction < 0.5


def test_the_bundle_tells_how_sure_its_scores_are(finished: Finished) -> None:
    """Intervals around the scores, two simple models on the same rows, and every answer, without a text."""
    manifest = Bundle.open(finished[0].bundle_dir).manifest
    assert manifest.intervals is not None and manifest.test is not None
    assert (manifest.intervals.split, manifest.intervals.rows) == ("test", 30)
    assert manifest.intervals.f1_macro.low <= manifest.test.f1_macro <= manifest.intervals.f1_macro.high
    commonest, words = manifest.baselines
    assert (commonest.name, words.name, words.trained_on) == ("majority", "tfidf-logistic-regression", 96)
    assert commonest.comparison is not None and words.comparison is not None
    assert (commonest.comparison.f1_macro_verdict, commonest.comparison.accuracy_verdict) == ("better", "better")
    assert words.f1_macro > 0.8
    assert manifest.test.f1_macro - words.f1_macro == pytest.approx(words.comparison.f1_macro_difference)
    assert manifest.answers is not None
    answers = load((finished[0].bundle_dir / manifest.answers.file).read_bytes())
    rows = [row for row in ROWS if row.split == "test"]
    assert answers.keys.tolist() == row_keys([row.text for row in rows], [[row.label] for row in rows]).tolist()
    assert [answers.named(place)[0] for place in range(30)] == [row.label for row in rows]
    assert answers.right.mean() == pytest.approx(manifest.test.accuracy)
    assert answers.probabilities.astype(float).sum(axis=1) == pytest.approx(np.ones(30), abs=0.01)
    assert {scores.slice for scores in manifest.slices} <= {"length=short", "length=medium", "length=long"}
    assert sum(scores.rows for scores in manifest.slices) == 30
    right = sum(scores.rows * scores.accuracy for scores in manifest.slices)
    assert right / 30 == pytest.approx(manifest.test.accuracy)
    assert manifest.libraries["tunesmith"]


def test_without_test_rows_the_validation_rows_are_weighed(make_spec: MakeSpec, recording: Recording) -> None:
    held_out = toy_sets(104, split="validation")
    spec = make_spec([*toy_sets(48), *held_out], num_train_epochs=1, thresholds="tuned")
    run(spec, recording, never)
    manifest = Bundle.open(spec.bundle_dir).manifest
    assert (manifest.answers.split, manifest.answers.rows, manifest.baselines) == ("validation", 104, [])
    answers = load((spec.bundle_dir / manifest.answers.file).read_bytes())
    assert answers.right.mean() == pytest.approx(manifest.validation.accuracy)
    assert manifest.intervals.accuracy.low <= manifest.validation.accuracy <= manifest.intervals.accuracy.high
    assert manifest.decision.rows == 104 and manifest.decision.temperature != 1.0
    served = Predictor.load(Bundle.open(spec.bundle_dir)).predict([row.text for row in held_out], top_k=3)
    right = [set(answer.labels) == set(row.labels) for answer, row in zip(served, held_out, strict=True)]
    assert np.mean(right) == pytest.approx(manifest.validation.accuracy, abs=0.01)
    chances = [[answer.scores[label] for label in LABELS] for answer in served]
    truth = [[label in row.labels for label in LABELS] for row in held_out]
    brier = ((np.array(chances) - np.array(truth)) ** 2).mean()
    assert manifest.validation.calibration.after.brier == pytest.approx(brier, rel=1e-3)


def test_hard_rows_and_leaked_texts_are_written_down(make_spec: MakeSpec, recording: Recording) -> None:
    leaked = type(ROWS[0])(f"  {ROWS[0].text.upper()}! ", "sad", "validation")
    spec = make_spec([*ROWS, leaked], num_train_epochs=8, early_stopping_patience=None)
    run_until_export(spec, recording)
    issues = DataIssues.model_validate_json((spec.work_dir / "issues.json").read_bytes())
    assert issues.split == "validation"
    assert (issues.hardest[0].row, issues.hardest[0].label, issues.hardest[0].predicted) == (36, "sad", "calm")
    assert [(each.rows, each.labels) for each in issues.overlaps] == [({"train": 1, "validation": 1}, ["calm", "sad"])]


def test_served_answers_have_the_accuracy_of_the_evaluation(finished: Finished) -> None:
    """The rows of the test split, sent as texts through the server's predictor."""
    spec, _ = finished
    bundle = Bundle.open(spec.bundle_dir)
    rows = [row for row in ROWS if row.split == "test"]
    answers = Predictor.load(bundle).predict([row.text for row in rows])
    right = np.mean([answer.label == row.label for answer, row in zip(answers, rows, strict=True)])
    assert bundle.manifest.test is not None
    assert right == pytest.approx(bundle.manifest.test.accuracy)
    reference = bundle.manifest.reference
    assert reference is not None and (reference.split, reference.texts) == ("test", 30)
    assert reference.labels == Counter(answer.label for answer in answers)
    assert reference.tokens == binned((token_bin(answer.tokens) for answer in answers), len(reference.tokens))
    confidence = binned((confidence_bin(answer.score) for answer in answers), len(reference.confidence))
    apart = sum(abs(one - other) for one, other in zip(reference.confidence, confidence, strict=True))
    assert apart <= 2, "an export differs a little, so that one text may fall into the next bin"


def binned(bins: Iterable[int], width: int) -> list[int]:
    found = Counter(bins)
    return [found[index] for index in range(width)]


def test_a_smaller_format_is_served_where_it_is_as_good(small_format: Finished) -> None:
    """Made, judged and measured beside the others, and then what the server's predictor loads."""
    spec, recording = small_format
    assert recording.of(Warned) == []
    bundle = Bundle.open(spec.bundle_dir)
    manifest = bundle.manifest
    assert [verdict.format for verdict in manifest.exports] == ["onnx", "safetensors", "onnx-int8"]
    assert all(verdict.passed and verdict.latency for verdict in manifest.exports)
    assert manifest.exports[2].rows == 36
    golden = read(bundle.path(GOLDEN), "toy")
    assert 9 <= len(golden.examples) <= 12
    assert {"", " \t"} < {example.text for example in golden.examples}
    for name in ("onnx", "onnx-int8"):
        replay(golden, Predictor.load(Bundle(bundle.folder, manifest.model_copy(update={"serve": name}))))
    assert (manifest.serve, manifest.served_file) == ("onnx-int8", "model.int8.onnx")
    for name in ("model.onnx", "model.int8.onnx", "weights/tokenizer.json", "weights/tokenizer_config.json"):
        assert name in manifest.files
    rows = [row for row in ROWS if row.split == "test"]
    answers = Predictor.load(bundle).predict([row.text for row in rows])
    right = np.mean([answer.label == row.label for answer, row in zip(answers, rows, strict=True)])
    assert right == pytest.approx(manifest.test.accuracy, abs=0.1)


def test_every_answer_is_given_with_the_fitted_temperature(small_format: Finished) -> None:
    """The server's predictor is as sure as the evaluation says that the version is."""
    spec, _ = small_format
    bundle = Bundle.open(spec.bundle_dir)
    manifest, rule = bundle.manifest, bundle.manifest.decision
    assert (rule.rows, rule.note, rule.abstain_below, rule.top_k) == (36, None, 0.9, 2)
    assert rule.temperature != 1.0
    assert manifest.validation.calibration.after.nll < manifest.validation.calibration.before.nll
    exact = Predictor.load(Bundle(bundle.folder, manifest.model_copy(update={"serve": "onnx"})))
    rows = [row for row in ROWS if row.split == "test"]
    answers = exact.predict([row.text for row in rows], return_all_scores=True)
    right = [answer.scores[row.label] for answer, row in zip(answers, rows, strict=True)]
    found = manifest.test.calibration
    assert found.after.nll == pytest.approx(-np.log(right).mean(), rel=1e-3)
    assert found.before.nll == pytest.approx(manifest.test.loss, rel=1e-3)
    assert found.abstained == pytest.approx(np.mean([answer.score < 0.9 for answer in answers]), abs=0.04)
    assert found.abstained == pytest.approx(np.mean([answer.abstained for answer in answers]), abs=0.04)
    assert len(exact.predict([rows[0].text])[0].scores) == 2


def test_the_weights_folder_is_all_that_transformers_needs(small_format: Finished) -> None:
    spec, _ = small_format
    bundle = Bundle.open(spec.bundle_dir)
    tokenizer = AutoTokenizer.from_pretrained(spec.bundle_dir / "weights")
    model = AutoModelForSequenceClassification.from_pretrained(spec.bundle_dir / "weights").eval()
    texts = ["the happy house", "grey", " ".join(["day"] * 90)]
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    exact = bundle.manifest.model_copy(update={"serve": "onnx"})
    predictor = Predictor.load(Bundle(bundle.folder, exact))
    served = predictor.logits(predictor.encoder.encode(texts).ids)
    np.testing.assert_allclose(logits.numpy(), served, atol=1e-4)
    assert [model.config.id2label[index] for index in range(3)] == bundle.manifest.labels


def test_learns_32_rows_by_heart(make_spec: MakeSpec, recording: Recording) -> None:
    rows = toy_rows(32)
    same = [type(row)(row.text, row.label, "validation") for row in rows]
    wishes = {"batch_size": 4, "learning_rate": 3e-3}  # found with all of 16 seeds; larger steps find it with some
    run_until_export(make_spec([*rows, *same], num_train_epochs=16, early_stopping_patience=None, **wishes), recording)
    assert recording.of(Evaluated)[-1].evaluation.accuracy == 1.0


def test_same_seed_same_model_and_another_seed_another(make_spec: MakeSpec) -> None:
    weights = []
    for index, seed in enumerate((1, 1, 2)):
        spec = make_spec(ROWS, name=f"job{index}", num_train_epochs=1, seed=seed, deterministic=True)
        run_until_export(spec, Recording())
        weights.append(weights_of(spec))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert any(not torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_goes_on_from_an_own_version(
    finished: Finished, make_spec: MakeSpec, recording: Recording, tmp_path: Path
) -> None:
    """Equal labels: the head is kept, so the first evaluation is as good as the last one was."""
    first, _ = finished
    base = as_base(first, tmp_path / "version")
    second = make_spec(
        ROWS, name="second", base=base, max_steps=1, learning_rate=1e-9, head_learning_rate_multiplier="auto"
    )
    run(second, recording, never)
    [resolved] = recording.of(Resolved)
    assert resolved.hyperparameters.head_learning_rate_multiplier == 1.0
    before, after = Bundle.open(first.bundle_dir).manifest, Bundle.open(second.bundle_dir).manifest
    assert after.test == before.test.model_copy(update={"loss": after.test.loss, "calibration": after.test.calibration})
    assert after.test.calibration.before.ece == pytest.approx(before.test.calibration.before.ece, abs=1e-4)
    assert after.test.loss == pytest.approx(before.test.loss, abs=1e-5)
    assert recording.of(Stopped)[0].reason == "max_steps"


def test_own_version_with_other_labels_gets_a_new_head(
    finished: Finished, make_spec: MakeSpec, recording: Recording, tmp_path: Path
) -> None:
    base = as_base(finished[0], tmp_path / "version")
    labels = ["glad", "sad"]
    rows = [*toy_rows(32, labels=labels), *toy_rows(8, split="validation", labels=labels)]
    spec = make_spec(
        rows, name="second", labels=labels, base=base, num_train_epochs=1, head_learning_rate_multiplier="auto"
    )
    run(spec, recording, never)
    assert recording.of(Resolved)[0].hyperparameters.head_learning_rate_multiplier > 1
    assert Bundle.open(spec.bundle_dir).manifest.labels == labels
    assert weights_of(spec)["classifier.weight"].shape == (2, 32)


def test_stops_early_and_exports_the_best(make_spec: MakeSpec, recording: Recording) -> None:
    spec = make_spec(ROWS, num_train_epochs=50, early_stopping_patience=2, early_stopping_threshold=0.001)
    run(spec, recording, never)
    [stopped] = recording.of(Stopped)
    assert stopped.reason == "early_stopping"
    assert stopped.best_step < stopped.step < 600
    best = max(event.metric_value for event in recording.of(Evaluated) if event.evaluation.split == "validation")
    assert Bundle.open(spec.bundle_dir).manifest.validation.f1_macro == best


def test_a_budget_ends_training_with_what_there_is(make_spec: MakeSpec, recording: Recording) -> None:
    rows = [*toy_rows(24), *toy_rows(6, split="validation")]
    spec = make_spec(rows, num_train_epochs=1000, early_stopping_patience=None, max_train_seconds=1000)
    spent = spec.model_copy(update={"trained_seconds": 999.5})  # by earlier attempts
    run(spent, recording, never)
    [stopped] = recording.of(Stopped)
    assert stopped.reason == "max_train_seconds"
    assert Bundle.open(spec.bundle_dir).manifest.validation is not None


def test_without_validation_and_test_the_last_weights_are_exported(make_spec: MakeSpec, recording: Recording) -> None:
    spec = make_spec(toy_rows(20), num_train_epochs=1)
    run(spec, recording, never)
    assert [event.code for event in recording.of(Warned)] == ["no-validation-split"]
    assert recording.of(Evaluated) == []
    manifest = Bundle.open(spec.bundle_dir).manifest
    assert (manifest.validation, manifest.test) == (None, None)
    assert manifest.exports[0].rows == 20
    assert not (spec.work_dir / "issues.json").exists()


@pytest.mark.parametrize("phase", ["training", "evaluating", "exporting"])
def test_stops_within_any_phase_and_leaves_no_bundle(make_spec: MakeSpec, phase: str) -> None:
    spec = make_spec(ROWS, num_train_epochs=1, logging_steps=1)
    entered: list[str] = []

    def emit(event: object) -> None:
        if isinstance(event, PhaseStarted):
            entered.append(event.phase)

    with pytest.raises(Interrupted):
        run(spec, emit, lambda: phase in entered)
    assert entered[-1] == phase
    assert not (spec.bundle_dir / MANIFEST).exists()


def test_divergence_fails_the_job(make_spec: MakeSpec) -> None:
    spec = make_spec(ROWS, learning_rate=1.0, head_learning_rate_multiplier=1000, max_grad_norm=None, warmup_steps=0,
                     weight_decay=1.0)  # fmt: skip
    with pytest.raises(JobFailure) as caught:
        run(spec, Recording(), never)
    assert caught.value.code == "training-diverged"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_on_this_cpu(make_spec: MakeSpec, recording: Recording, precision: str) -> None:
    """Asked for explicitly it is honoured, and the served fp32 model is as good."""
    spec = make_spec(ROWS, num_train_epochs=8, precision=precision, early_stopping_patience=None)
    run(spec, recording, never)
    manifest = Bundle.open(spec.bundle_dir).manifest
    assert manifest.hyperparameters["precision"] == precision
    assert manifest.test.accuracy > 0.9
    if precision == "fp16":  # no CPU is fast at it
        assert [event.code for event in recording.of(Warned)] == ["slow-precision"]
        assert all(step.values["loss_scale"] >= 1 for step in recording.of(Stepped))


def test_too_little_memory_costs_time_and_nothing_else(make_spec: MakeSpec, recording: Recording) -> None:
    """No room for the activations of one text, nor for 64 answers at once; each step learns from 8 texts as ever."""
    spec = make_spec(ROWS, num_train_epochs=1, logging_steps=1, precision="fp32")  # else its speed is measured first
    memory = SimulatedMemory(limit=20_000, rows=20)

    def emit(event: Event) -> None:
        recording(event)
        if isinstance(event, PhaseStarted) and event.phase == "exporting":
            memory.close()  # by then the model leaves the device

    with memory:
        run(spec, emit, never, memory=lambda _device: memory)
    assert [event.code for event in recording.of(Warned)] == [
        "activations-recomputed",
        "evaluation-batches-halved",
        "evaluation-batches-halved",
    ]
    manifest = Bundle.open(spec.bundle_dir).manifest
    assert [verdict.passed for verdict in manifest.exports] == [True]
    wishes = manifest.hyperparameters
    assert (wishes["batch_size"], wishes["gradient_accumulation_steps"]) == (1, 8)
    assert wishes["gradient_checkpointing"] is False
    assert [event.evaluation.examples for event in recording.of(Evaluated)] == [36, 30]
    assert [event.step for event in recording.of(Stepped)] == list(range(1, 13))


def test_events_survive_the_pipe(finished: Finished) -> None:
    _, recording = finished
    assert [parse_event(event.model_dump_json().encode()) for event in recording.events] == recording.events


def test_an_interrupted_attempt_is_continued_as_if_nothing_had_happened(make_spec: MakeSpec) -> None:
    wishes = {"num_train_epochs": 4, "logging_steps": 1, "early_stopping_patience": None}
    whole = make_spec(ROWS, name="whole", **wishes)
    run(whole, expected := Recording(), never)

    first = make_spec(ROWS, name="first", **wishes).model_copy(update={"fingerprint": "f"})
    before = Recording()
    with pytest.raises(Interrupted):
        run(first, before, lambda: len(before.of(Stepped)) >= 30, lambda: True)
    [saved] = before.of(Checkpointed)
    assert saved.step == 30

    second = make_spec(ROWS, name="second", **wishes).model_copy(
        update={"fingerprint": "f", "resume_from": saved.folder}
    )
    run(second, after := Recording(), never)
    assert after.of(Resumed) == [Resumed(step=30)]
    assert [event.step for event in after.of(Stepped)] == list(range(31, 49))
    assert [event.evaluation for event in expected.of(Evaluated)] == [
        event.evaluation for event in (*before.of(Evaluated), *after.of(Evaluated))
    ]
    assert all(torch.equal(value, weights_of(second)[name]) for name, value in weights_of(whole).items())
    manifests = [Bundle.open(spec.bundle_dir).manifest for spec in (whole, second)]
    assert manifests[0].validation == manifests[1].validation


def test_training_is_saved_now_and_then(
    make_spec: MakeSpec, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "SHARE", math.inf)
    spec = make_spec(ROWS, num_train_epochs=1, logging_steps=4).model_copy(update={"checkpoint_seconds": 1e-9})
    run_until_export(spec, recording)
    assert [event.step for event in recording.of(Checkpointed)] == [1, 4, 8, 12]


def test_saving_by_the_clock_leaves_most_of_the_time_to_training(
    make_spec: MakeSpec, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "SHARE", 1e-6)  # what one save takes must now be a millionth of the time to the next
    spec = make_spec(ROWS, num_train_epochs=1, logging_steps=4).model_copy(update={"checkpoint_seconds": 1e-9})
    run_until_export(spec, recording)
    assert [event.step for event in recording.of(Checkpointed)] == [1]


def test_training_outlives_a_disk_that_takes_no_checkpoint(
    make_spec: MakeSpec, recording: Recording, tiny_base: Path
) -> None:
    spec = make_spec(ROWS, num_train_epochs=1, save_strategy="steps", save_steps=4)
    weights = (tiny_base / "model.safetensors").stat().st_size
    with files_of_at_most(weights * 3 // 2):  # the moments of a checkpoint are twice as large as the weights
        run_until_export(spec, recording)
    assert [event.code for event in recording.of(Warned)] == ["checkpoint-not-kept"]
    assert not recording.of(Checkpointed) and not list(spec.work_dir.glob("*checkpoint*"))
    assert recording.of(Stopped)[0].step == 12


@contextmanager
def files_of_at_most(most: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as a full disk would not."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_what_was_learned_outlives_an_interruption_after_training(make_spec: MakeSpec, recording: Recording) -> None:
    wishes = {"num_train_epochs": 2, "save_strategy": "no", "early_stopping_patience": None}
    spec = make_spec(ROWS, name="interrupted", **wishes)

    def exporting() -> bool:
        return any(event.phase == "exporting" for event in recording.of(PhaseStarted))

    with pytest.raises(Interrupted):
        run(spec, recording, exporting, lambda: True)
    [saved] = recording.of(Checkpointed)
    assert saved.step == recording.of(Stopped)[0].step == 24
    after = Recording()
    again = make_spec(ROWS, name="again", **wishes).model_copy(update={"resume_from": saved.folder})
    run_until_export(again, after)
    assert after.of(Resumed) == [Resumed(step=24)] and not after.of(Stepped)
    assert after.of(Stopped) == recording.of(Stopped)
    assert [event.evaluation for event in after.of(Evaluated)] == [recording.of(Evaluated)[-1].evaluation]
    best = [load_file(each.bundle_dir / "weights" / "model.safetensors") for each in (spec, again)]
    assert all(torch.equal(value, best[1][name]) for name, value in best[0].items())


def test_a_damaged_checkpoint_costs_its_time_only(make_spec: MakeSpec, recording: Recording, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    spec = make_spec(ROWS, num_train_epochs=1).model_copy(update={"resume_from": tmp_path / "broken"})
    run_until_export(spec, recording)
    assert [event.code for event in recording.of(Warned)] == ["resume-fallback"]
    assert recording.of(Stopped)[0].step == 12


def test_saves_when_the_job_says_so(make_spec: MakeSpec, recording: Recording) -> None:
    spec = make_spec(ROWS, num_train_epochs=2, save_strategy="steps", save_steps=10, save_total_limit=5)
    run_until_export(spec.model_copy(update={"checkpoint_seconds": 0.0}), recording)
    assert [(event.step, event.kept) for event in recording.of(Checkpointed)] == [(10, 5), (20, 5)]
