"""A small model and data made on the spot: one training step takes a millisecond."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.metrics import Evaluation
from worker.batch import Batch
from worker.data.batches import bucketed
from worker.training.loop import Evaluate, Training
from worker.training.team import Team

LABELS = ["no", "yes"]
VOCABULARY = 20


class Small(nn.Module):
    """Mean of embeddings, dropout, norm, and a head named ``classifier``; a text's label is whether it has token 1."""

    def __init__(
        self, dropout: float = 0.1, limit: int | None = None, poisoned_from: int | None = None, overflows: bool = False
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 8)
        self.norm = nn.LayerNorm(8)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(8, len(LABELS))
        self.limit = limit
        self._poisoned_from = poisoned_from
        """The forward pass from which on nothing it answers is a number."""
        self._overflows = overflows
        """Whether its gradients are always too large for fp16."""
        self._passes = 0

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        if self.limit is not None and len(input_ids) > self.limit:
            raise torch.OutOfMemoryError
        mask = attention_mask[..., None]  # (batch, seq, 1)
        mean = (self.embedding(input_ids) * mask).sum(1) / mask.sum(1)  # (batch, hidden)
        logits = self.classifier(self.dropout(self.norm(mean)))
        self._passes += 1
        if self._poisoned_from is not None and self._passes >= self._poisoned_from:
            logits = logits * math.nan
        if self._overflows and logits.requires_grad:
            logits.register_hook(lambda gradient: gradient * math.inf)
        return SimpleNamespace(logits=logits)


@dataclass
class Texts:
    """A source of batches; ``order`` fixes the rows of every batch, else they are dealt as in production."""

    ids: NDArray[np.int64]  # (rows, seq)
    order: Sequence[Sequence[int]] | None = None
    planned: list[int] = field(default_factory=list)
    taught: bool = False
    """Whether a teacher, who is not always right, has said something of each text."""

    def plan(self, batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        self.planned.append(epoch)
        if self.order is not None:
            return [np.array(rows) for rows in self.order]
        return bucketed(np.ones(len(self.ids), dtype=np.int64), batch_size, seed=seed, epoch=epoch)

    def load(self, rows: NDArray[np.int64]) -> Batch:
        ids = torch.from_numpy(self.ids[rows])
        labels = (ids == 1).any(1).long()
        teacher = torch.stack([ids[:, 0] * -0.3, ids[:, 1] * 0.2], dim=1) if self.taught else None
        return Batch({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels, teacher)


def texts(count: int, order: Sequence[Sequence[int]] | None = None) -> Texts:
    """Draw texts, about half of them with token 1."""
    source = np.random.default_rng(3)
    ids = source.integers(2, VOCABULARY, (count, 6))
    ids[source.random(count) < 0.5, 0] = 1
    return Texts(ids, order)


def wishes(**changes: Any) -> ResolvedHyperparameters:
    """Give decided hyperparameters."""
    defaults: dict[str, Any] = {
        "num_train_epochs": 3,
        "batch_size": 4,
        "learning_rate": 0.01,
        "head_learning_rate_multiplier": 2.0,
        "class_weights": "none",
        "dropout": 0.1,
        "max_length": 8,
        "precision": "fp32",
        "warmup_steps": 2,
        "metric_for_best_model": "accuracy",
        "logging_steps": 5,
    }
    return ResolvedHyperparameters.model_validate(defaults | changes)


def judged(accuracy: float) -> Evaluation:
    """Make an evaluation with one score of interest."""
    scores = dict.fromkeys(
        ("f1_macro", "f1_weighted", "precision_macro", "precision_weighted", "recall_macro", "recall_weighted"), 0.0
    )
    return Evaluation(
        split="validation", examples=1, loss=0.0, accuracy=accuracy, per_class=[], confusion_matrix=[], **scores
    )


def scripted(accuracies: Sequence[float]) -> Evaluate:
    """Judge by script: the next accuracy each time."""
    script = iter(accuracies)
    return lambda _model, _autocast: judged(next(script))


def small_run(
    folder: Path,
    source: Texts,
    *,
    total_steps: int = 12,
    evaluate: Evaluate | None = None,
    model: nn.Module | None = None,
    depths: Mapping[str, int] | None = None,
    forward: nn.Module | None = None,
    recompute: Callable[[], None] | None = None,
    team: Team | None = None,
    **changes: Any,
) -> Training:
    """Make a run on the small model, drawn from seed 0 unless given; hyperparameters as keywords."""
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    return Training(
        model or Small(),
        source,
        wishes(**changes),
        labels=LABELS,
        head={"classifier.weight", "classifier.bias"},
        total_steps=total_steps,
        device=torch.device("cpu"),
        folder=folder,
        evaluate=evaluate,
        depths=depths,
        forward=forward,
        recompute=recompute,
        team=team,
    )


def never() -> bool:
    """Do not stop."""
    return False
