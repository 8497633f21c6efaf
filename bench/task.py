"""What a run of the comparison trains, on which rows and batches, and a watch on its score: the same for all ways."""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from app.schemas.hyperparameters import Precision
from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from worker import device as machine
from worker.data.batches import Batches
from worker.data.encode import encode
from worker.data.rows import Rows
from worker.models.tokenizer import pad_token_id, tokenizer_file
from worker.probe import Probe

CPU = torch.device("cpu")
DRAWN = 7
"""Seed of the rows that are drawn: the same for all."""


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
