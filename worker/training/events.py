"""What the training loop says while it trains."""

from dataclasses import dataclass, field

from app.schemas.metrics import Evaluation
from worker.events import StopReason


@dataclass(frozen=True, slots=True)
class Step:
    """Optimizer steps were made."""

    step: int
    epoch: float
    loss: float
    """Mean over the steps since the last logged one."""
    learning_rate: float
    """Of the encoder, at the newest step."""
    grad_norm: float | None
    """Before clipping, at the newest step; None when fp16 overflowed and the step was skipped."""
    loss_scale: float | None
    """None without fp16."""
    examples_per_second: float
    eta_seconds: float
    logged: bool
    """True for a point of the curves, False for a sign of life between two of them."""
    values: dict[str, float] = field(default_factory=dict, kw_only=True)
    """Further curves by name."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The validation split was judged; when ``improved``, these weights are kept as the best."""

    step: int
    epoch: float
    evaluation: Evaluation
    value: float
    improved: bool


@dataclass(frozen=True, slots=True)
class Split:
    """The memory of the GPU ran out; from this step on each batch goes through in parts, with the same result."""

    step: int
    parts: int


@dataclass(frozen=True, slots=True)
class Recomputing:
    """Not even single texts fitted; from this step on activations are computed twice, with the same result."""

    step: int


@dataclass(frozen=True, slots=True)
class SaveDue:
    """The run has come to a step at which it is to be saved."""

    step: int


@dataclass(frozen=True, slots=True)
class LastStep:
    """No step will follow; the model still holds the weights of the last one, which the best ones replace next."""

    step: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """Training ended; the model now holds the best weights."""

    reason: StopReason
    step: int
    best_step: int


TrainingEvent = Step | Evaluated | Split | Recomputing | SaveDue | LastStep | Stopped
