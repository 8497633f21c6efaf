"""The bundle an attempt hands back: model, tokenizer, weights, and a manifest written only after verification."""

import platform
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from app.artifacts.bundle import MANIFEST, TOKENIZER, WEIGHTS, Manifest, describe_files, sha256_of
from app.release import release
from app.schemas.hyperparameters import in_one_name
from app.schemas.jobs import JobWarning
from app.schemas.metrics import Evaluation
from app.schemas.models import Task
from worker.calibrating import Settled
from worker.data.batches import Batches
from worker.events import AttemptSpec
from worker.export import weights
from worker.export.compare import ROWS
from worker.export.exporter import Exporter, choose_served
from worker.export.gate import Bounds, Gate
from worker.export.source import Decide, Logits, Source, by_head
from worker.golden import ordinary_texts, write_golden
from worker.heads import logit_names
from worker.judging import Judge
from worker.models.recompute import keep
from worker.models.recorded import recorded
from worker.models.registry import reload
from worker.setup import Setup
from worker.training.stopping import read_metric
from worker.weighing import Certainty

LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "onnx", "onnxruntime", "scikit-learn")


def hand_over(
    spec: AttemptSpec,
    setup: Setup,
    settled: Settled,
    *,
    test: Evaluation | None,
    certainty: Certainty,
    check: Callable[[], None],
    warn: Callable[[JobWarning], None],
    verifying: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> str:
    """Write and verify the bundle of a trained model; give the hash of its manifest.

    Moves the model to the CPU. ``verifying`` is open while what was written is tried. Warns of formats that were left
    out. Raises JobFailure ``export-failed`` or ``export-verification-failed``.
    """
    model, folder, judge = setup.model, spec.bundle_dir, settled.judge
    nn.Module.to(model, "cpu")
    model.train(mode=False)
    keep(model)
    folder.mkdir(parents=True)
    shutil.copyfile(setup.tokenizer, folder / TOKENIZER)
    weights.save(model, folder / WEIGHTS)
    check()
    answers = certainty.save(folder)
    draft = _manifest(spec, setup, settled, test).model_copy(
        update={
            "answers": answers,
            "intervals": certainty.intervals,
            "baselines": certainty.baselines,
            "slices": certainty.slices,
            "reference": certainty.reference,
        }
    )
    wishes = spec.request.export
    source = _source(spec, setup, draft)
    exporter = Exporter(source, _rows(setup), _gate(spec, setup, judge), check, warn, _decide(setup, judge), verifying)
    verdicts = exporter.export(wishes.wanted)
    with verifying():
        write_golden(source, verdicts, ordinary_texts(spec.dataset_file))
    found = {"exports": verdicts, "serve": choose_served(wishes.serve, verdicts), "files": describe_files(folder)}
    return _write(folder, draft.model_copy(update=found))


def _source(spec: AttemptSpec, setup: Setup, draft: Manifest) -> Source:
    return Source(
        model=setup.model,
        folder=spec.bundle_dir,
        draft=draft,
        pad_token_id=setup.pad_token_id,
        longest=setup.position_limit,
        reload=lambda folder: reload(spec.request.family, folder, logit_names(setup.heads)),
        recorded=recorded,
    )


def _rows(setup: Setup) -> Batches:
    """Compare on rows the model has not learned from, if there are enough."""
    validation = setup.data.validation
    return validation if validation is not None and len(validation) >= ROWS // 2 else setup.data.train


def _gate(spec: AttemptSpec, setup: Setup, judge: Judge) -> Gate | None:
    if setup.data.validation is None:
        return None
    wishes = spec.request.export
    # A loss has no scale on which half a point means anything.
    best = setup.data.hyperparameters.metric_for_best_model
    metric = "f1_macro" if best == "loss" else best
    bounds = Bounds(in_one_name(metric), wishes.max_metric_drop, wishes.min_label_agreement)

    def measure(logits: Logits, truth: NDArray[np.int64]) -> float:
        return read_metric(judge.score(logits, truth), metric)

    return Gate(setup.data.validation, measure, bounds, judge.check, _decide(setup, judge))


def _decide(setup: Setup, judge: Judge) -> Decide:
    """Give what makes labels of logits: by thresholds, or the most probable one of every task."""
    return by_head([head.columns for head in setup.heads]) if judge.thresholds is None else judge.decide


def _manifest(spec: AttemptSpec, setup: Setup, settled: Settled, test: Evaluation | None) -> Manifest:
    return Manifest(
        model=spec.model_name,
        job_id=spec.job_id,
        attempt=spec.attempt,
        created_at=datetime.now(UTC),
        family=spec.request.family.type,
        problem_type=spec.problem_type,
        thresholds=settled.judge.thresholds,
        decision=settled.decision,
        labels=spec.labels,
        tasks=_tasks(spec, setup),
        text=spec.request.text,
        tokenizer=setup.data.encoder.settings,
        base_model=spec.base_model,
        dataset=spec.dataset,
        hyperparameters=setup.data.hyperparameters.model_dump(),
        resolutions=setup.resolutions,
        inspection=setup.inspection,
        validation=settled.validation,
        test=test,
        exports=[],
        libraries=_libraries(),
        files={},
    )


def _tasks(spec: AttemptSpec, setup: Setup) -> list[Task]:
    if not spec.tasks:
        return []
    sources = [spec.dataset, *(task.dataset for task in spec.tasks)]
    return [
        Task(
            name=head.name,
            labels=list(head.labels),
            offset=head.start,
            loss_weight=head.loss_weight,
            dataset=dataset,
        )
        for head, dataset in zip(setup.heads, sources, strict=True)
    ]


def _write(folder: Path, manifest: Manifest) -> str:
    scratch = folder / f".{MANIFEST}"
    scratch.write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    scratch.replace(folder / MANIFEST)
    return sha256_of(folder / MANIFEST)


def _libraries() -> dict[str, str]:
    versions = {"python": platform.python_version(), "tunesmith": release()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a source tree that was not installed
            continue
    return versions
