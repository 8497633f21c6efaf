"""One run of the comparison: trained by Tunesmith's loop or by Hugging Face's Trainer, and judged."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from app.schemas.hyperparameters import ResolvedHyperparameters
from bench.hf_trainer import train_with_trainer
from bench.task import CPU, Task, Watch, batches_of, encoder_of, fast_precision, rows_of, steps_of
from worker import device as machine
from worker.base_models import packaged
from worker.batch import Batch
from worker.child import keep_freed_memory
from worker.data.batches import Batches
from worker.evaluation.evaluate import evaluate
from worker.head_start import start_head
from worker.models.compact import Compact, ids_in_use
from worker.models.encoder import load
from worker.models.head import head_parameters, output_layer
from worker.models.packed import Packed, packed
from worker.models.packing import Packing
from worker.training.events import Step
from worker.training.loop import Training
from worker.training.precision import Arithmetic

LOOKS = 5
"""Times an epoch that the score is looked at, where the time to it is wanted."""


@dataclass(frozen=True)
class Figures:
    """What came out of a run."""

    texts: int
    seconds: float
    cpu_seconds: float
    """Of all threads: what hardly depends on what else the machine does."""
    f1_macro: float | None
    seconds_to_f1: float | None = None
    """Of training, until the wanted score was first seen; None: it was not, or none was wanted."""


def figures_of(task: Task) -> Figures:
    """Train and judge. To be called in a process of its own."""
    torch.set_num_threads(task.threads)
    folder = task.base or packaged("minilm-l6")[0]
    train, validation = (
        rows_of(task.folder, "train", task.rows),
        rows_of(task.folder, "validation", task.validation_rows),
    )
    labels = sorted({row["label"] for row in train} | {row["label"] for row in validation})
    machine.seed_everything(task.seed)
    model = load(folder, labels).model
    with tempfile.TemporaryDirectory() as scratch:
        encoder = encoder_of(folder, model, task.max_length, Path(scratch))
        lessons = batches_of(train, labels, model, encoder)
        held_out = batches_of(validation, labels, model, encoder) if validation else None
        judge = partial(_f1_macro, model, held_out, labels)
        every = max(1, steps_of(task, lessons) // task.epochs // LOOKS)
        watch = None if task.f1 is None or held_out is None else Watch(task.f1, every, judge, held_out.split.tokens)
        way = _ours if task.variant.startswith("tunesmith") else train_with_trainer
        spent = time.process_time()
        seconds = way(task, model, lessons, labels, Path(scratch), watch)
        spent = time.process_time() - spent
    score = None if held_out is None else judge()
    texts = len(train) * task.epochs
    if watch is None:
        return Figures(texts, seconds, spent, score)
    return Figures(texts, seconds - watch.seconds, spent - watch.cpu_seconds, score, watch.reached)


def _f1_macro(model: PreTrainedModel, held_out: Batches, labels: Sequence[str]) -> float:
    was_training = model.training
    judged = evaluate(
        model, held_out.by_length(64), labels, split="validation", device=CPU,
        autocast=Arithmetic(CPU, "fp32").autocast, check=lambda: None,
    )  # fmt: skip
    model.train(was_training)
    return judged.f1_macro


def _ours(
    task: Task, model: PreTrainedModel, lessons: Batches, labels: Sequence[str], scratch: Path, watch: Watch | None
) -> float:
    """Train with the worker's loop as a job would, less what the variant leaves out."""
    steps = steps_of(task, lessons)
    wishes = ResolvedHyperparameters(
        num_train_epochs=task.epochs,
        batch_size=task.batch_size,
        learning_rate=task.learning_rate,
        head_learning_rate_multiplier=1.0,
        class_weights="none",
        dropout=0.1,
        max_length=task.max_length,
        precision="fp32" if task.variant == "tunesmith-fp32" else fast_precision(),
        warmup_steps=steps // 10,
        seed=task.seed,
        save_strategy="no",
        **({} if watch is None else {"logging_steps": watch.every}),
    )
    keep_freed_memory()  # as the process of a job does
    unpadded = _without(task.variant, model)
    began = time.perf_counter()
    splits = [lessons.split.tokens] if task.variant != "tunesmith-whole-table" else [np.arange(model.config.vocab_size)]
    if watch is not None:
        splits.append(watch.ids)
    ids = ids_in_use(model, wishes, splits, padding=int(model.config.pad_token_id or 0))
    compact = None if ids is None else Compact(model, ids)
    training = Training(
        model,
        _Shuffled(lessons) if task.variant == "tunesmith-shuffled" else lessons,
        wishes,
        labels=labels,
        head=head_parameters(model),
        total_steps=steps,
        device=CPU,
        folder=scratch,
        evaluate=None,
        forward=unpadded,
    )
    if task.variant == "tunesmith-probe":
        start_head(
            unpadded or model,
            output_layer(model, len(labels)),
            lessons,
            training.loss,
            batch_size=64,
            device=CPU,
            autocast=training.arithmetic.autocast,
            check=lambda: None,
        )
    if watch is not None:
        watch.begin()
    for event in training.run(lambda: False):
        if watch is not None and isinstance(event, Step):
            watch.look(event.step)
    if compact is not None:
        compact.release()
    return time.perf_counter() - began


class _Shuffled:
    """The same batches with texts of any length beside each other."""

    def __init__(self, lessons: Batches) -> None:
        self._lessons = lessons

    def plan(self, batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """Give the rows of every training batch of one epoch."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self._lessons))
        return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]

    def load(self, rows: NDArray[np.int64]) -> Batch:
        """Pad the texts of ``rows`` to the longest of them."""
        return self._lessons.load(rows)


class _AllTokens(Packed):
    """Computes every token up to the top."""

    def top(self, hidden: torch.Tensor, packing: Packing) -> torch.Tensor:
        """Pass the last layer as all others."""
        *_, last = self.anatomy.layers
        return last(hidden, packing)[:, packing.firsts].transpose(0, 1)  # type: ignore[no-any-return]


def _without(variant: str, model: PreTrainedModel) -> Packed | None:
    """Give what trains without padding, less what the variant leaves out; None: with padding."""
    if variant in ("tunesmith-padded", "tunesmith-shuffled"):
        return None
    return packed(model, _AllTokens if variant == "tunesmith-all-tokens" else Packed)
