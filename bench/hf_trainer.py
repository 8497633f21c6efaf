"""Fine-tuning with Hugging Face's Trainer: as its documentation has it, as most people run it, and at its best."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainerState, TrainingArguments

from bench.task import Task, Watch, fast_precision, steps_of
from worker.data.batches import Batches


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


def train_with_trainer(
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
