"""What the campaign trains: chains of hashes mostly, and a tiny real encoder where arithmetic matters."""

import itertools
from dataclasses import dataclass, field
from typing import Any

from tests.faults.pipeline import chain

ENDS_EARLY = frozenset({"stopped", "deaf-once", "spendthrift", "anything"})
"""Modes of jobs that a client or a budget ends, at whatever step; deaf-once, spendthrift: in the first attempt in vain.
"""
LOSE_ON_PURPOSE = frozenset({"damaged", "anything"})
"""Modes of jobs whose checkpoints were destroyed."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Recipe:
    """One job's training, and what it must end with."""

    steps: int = 20
    every: int = 5
    """Steps between two checkpoints."""
    pace: float = 0.02
    """Seconds a step takes."""
    hold: int = 0
    """Step at which the first attempt waits for the fault; 0: none."""
    mode: str = ""
    failpoint: str = ""
    """Armed in the training process of the first attempt."""
    real: bool = False
    """Train the tiny encoder for so many steps instead."""
    wishes: dict[str, Any] = field(default_factory=dict)
    """Further fields of the request."""
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    """Of the encoder, instead of the usual ones."""
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def seed(self) -> str:
        """Give where the chain begins."""
        return f"chain {self.number}"

    @property
    def digests(self) -> list[str]:
        """Give the weights that a right run may end with; none: known only after an undisturbed one."""
        if self.real:
            return []
        made = chain(self.seed, self.steps)
        return made if self.mode in ENDS_EARLY else made[-1:]

    def request(self, dataset_id: str, journal: str) -> dict[str, Any]:
        """Write the body of POST /jobs."""
        metadata = {
            "steps": str(self.steps),
            "every": str(self.every),
            "pace": str(self.pace),
            "hold": str(self.hold),
            "seed": self.seed,
            "journal": journal,
            "mode": self.mode,
            "failpoint": self.failpoint,
        }
        body = {"model": "chain", "dataset_id": dataset_id, "base_model": "tiny"}
        if self.real:
            metadata |= {"real": "yes"}
            body |= {"model": "encoder", "hyperparameters": self._hyperparameters(), "baselines": False}
        return body | {"metadata": metadata} | self.wishes

    def _hyperparameters(self) -> dict[str, Any]:
        return {
            "max_steps": self.steps,
            "eval_strategy": "steps",
            "eval_steps": max(1, self.steps // 3),
            "batch_size": 8,
            "max_length": 16,
            "learning_rate": 5e-3,
            "logging_steps": 1,
            "save_strategy": "steps",
            "save_steps": self.every,
            "precision": "fp32",
            "seed": 7,
        } | self.hyperparameters
