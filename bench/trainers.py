"""Ways to fine-tune one classifier: Hugging Face's Trainer as it is used, and Tunesmith's loop."""

import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerState, TrainingArguments

from app.schemas.hyperparameters import Precision, ResolvedHyperparameters
from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from worker import device as machine
from worker.base_models import packaged
from worker.batch import Batch
from worker.child import keep_freed_memory
from worker.data.batches import Batches
from worker.data.encode import encode
from worker.data.rows import Rows
from worker.evaluation.evaluate import evaluate
from worker.head_start import start_head
from worker.models.compact import Compact, ids_in_use
from worker.models.encoder import load
from worker.models.head import head_parameters, output_layer
from worker.models.packed import Packed, packed
from worker.models.packing import Packing
from worker.models.tokenizer import pad_token_id, tokenizer_file
from worker.probe import Probe
from worker.training.events import Step
from worker.training.loop import Training
from worker.training.precision import Arithmetic

CPU = torch.device("cpu")
DRAWN = 7
"""Seed of the rows that are drawn: the same for all."""
LOOKS = 5
"""Times an epoch that the score is looked at, where the time to it is wanted."""


@dataclass(frozen=True)
class Task:
    """What one run trains, and how."""

    folder: Path
    base: Path | None
    variant: str
    seed: int
    rows: int
    validation_rows: int
    epochs: int
    batch_size: int
    learning_rate: float
    max_length: int
    threads: int
    f1: float | None = None
    """Macro F1 of the validation rows whose time is wanted."""


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


@dataclass
class Watch:
    """Looks at the score a few times an epoch, and does not count the time it takes to look."""

    wanted: float
    every: int
    """Steps."""
    judge: Callable[[], float]
    ids: NDArray[np.int32]
    """That what is judged is made of: the model must know them on the way."""
    reached: float | None = None
    """Seconds of training."""
    seconds: float = 0.0
    """Spent looking."""
    cpu_seconds: float = 0.0
    _began: float = 0.0

    def begin(self) -> None:
        """Training begins."""
        self._began = time.perf_counter()

    def look(self, step: int) -> None:
        """Look, when it is time to; once the score is reached, no more."""
        if self.reached is not None or step % self.every:
            return
        now, spent = time.perf_counter(), time.process_time()
        if self.judge() >= self.wanted:
            self.reached = now - self._began - self.seconds
        self.seconds += time.perf_counter() - now
        self.cpu_seconds += time.process_time() - spent


def threads_of(wish: int) -> int:
    """Give the threads of torch that a job would take; 0: as was measured to be fastest here."""
    return machine.use_threads(wish)


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
        way = _ours if task.variant.startswith("tunesmith") else _theirs
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


def rows_of(folder: Path, split: str, wanted: int) -> list[dict[str, str]]:
    """Draw rows of a split; 0 training rows wanted: all of them, 0 others: none."""
    lines = [line for line in (folder / f"{split}.jsonl").read_text(encoding="utf-8").split("\n") if line]
    if split != "train" and not wanted:
        return []
    rows: list[dict[str, str]] = [json.loads(line) for line in lines]
    return random.Random(DRAWN).sample(rows, wanted) if 0 < wanted < len(rows) else rows


def encoder_of(folder: Path, model: PreTrainedModel, max_length: int, scratch: Path) -> TextEncoder:
    """Make what turns texts into ids, the same for all."""
    tokenizer = tokenizer_file(folder, scratch=scratch)
    settings = TokenizerSettings(max_length=max_length, pad_token_id=pad_token_id(model.config, tokenizer))
    return TextEncoder.from_files(tokenizer, settings, TextOptions())


def batches_of(
    rows: Sequence[dict[str, str]], labels: Sequence[str], model: PreTrainedModel, encoder: TextEncoder
) -> Batches:
    """Tokenize rows."""
    split = Rows([row["text"] for row in rows], [labels.index(row["label"]) for row in rows])
    vocabulary = int(model.config.vocab_size)
    return Batches(encode(split, encoder, vocabulary=vocabulary, check=lambda: None), encoder)


def fast_precision() -> Precision:
    """Give the arithmetic that a job would choose: bf16 only where it was measured to be faster than fp32."""
    return machine.choose_precision("auto", CPU, Probe(None, machine="")).precision


def steps_of(task: Task, lessons: Batches) -> int:
    """Count the optimizer steps."""
    return task.epochs * -(-len(lessons) // task.batch_size)


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


class _Examples(torch.utils.data.Dataset[dict[str, Any]]):
    """The same ids as Trainer wants them."""

    def __init__(self, lessons: Batches, targets: NDArray[np.int64]) -> None:
        self._ids = lessons.ids(np.arange(len(lessons)))
        self._targets = targets

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"input_ids": self._ids[row], "labels": int(self._targets[row])}


class _Looking(TrainerCallback):
    """Lets a watch look after each step."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def on_step_end(self, args: object, state: TrainerState, control: object, **kwargs: object) -> None:  # noqa: ARG002 - as Trainer calls it
        """Look, maybe."""
        self._watch.look(state.global_step)


def _theirs(
    task: Task,
    model: PreTrainedModel,
    lessons: Batches,
    labels: Sequence[str],  # noqa: ARG001 - as the other way
    scratch: Path,
    watch: Watch | None,
) -> float:
    """Train with Trainer, its options those of the variant."""
    steps = steps_of(task, lessons)
    best = task.variant == "trainer-best"
    arguments = TrainingArguments(
        output_dir=str(scratch / "trainer"),
        use_cpu=True,
        per_device_train_batch_size=task.batch_size,
        num_train_epochs=task.epochs,
        learning_rate=task.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=steps // 10,
        weight_decay=0.01,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        bf16=best and fast_precision() == "bf16",  # without hardware for it, bf16 is ten times slower than fp32
        train_sampling_strategy="group_by_length" if best else "random",
        seed=task.seed,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    targets = lessons.load(np.arange(len(lessons))).labels.numpy()
    pad = task.max_length if task.variant == "trainer-padded-512" else 0
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=_Examples(lessons, targets),
        data_collator=_collator(int(model.config.pad_token_id or 0), pad),
        callbacks=None if watch is None else [_Looking(watch)],
    )
    if watch is not None:
        watch.begin()
    began = time.perf_counter()
    trainer.train()
    return time.perf_counter() - began


def _collator(padding: int, least: int) -> Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]]:
    """Pad to the longest of a batch, or to ``least`` tokens if that is more."""

    def collate(examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        longest = max(least, *(len(each["input_ids"]) for each in examples))
        ids = np.full((len(examples), longest), padding, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(examples):
            ids[row, : len(each["input_ids"])] = each["input_ids"]
            mask[row, : len(each["input_ids"])] = 1
        return {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(mask),
            "labels": torch.tensor([each["labels"] for each in examples]),
        }

    return collate
