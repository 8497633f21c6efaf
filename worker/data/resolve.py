"""What every ``auto`` becomes, with the reason a person may read."""

import math
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

from app.errors import FieldError, JobFailure
from app.schemas.hyperparameters import Hyperparameters, Precision, Resolution, ResolvedHyperparameters
from app.schemas.schedules import UNWARMED_TIMESCALE, SchedulerOptions
from app.schemas.steps import Pace, usual_batch_size, usual_epochs
from app.schemas.text import LongText
from worker.data.class_weights import named_weights
from worker.data.facts import Chunking, Facts, ModelFacts

T = TypeVar("T", int, float, str)
DEFAULT_WARMUP_RATIO = 0.1
FROZEN_BASE_RATE = 1e-3
"""Learning rate of a head on a frozen base."""
ADAFACTOR_TIMES = 25.0
"""AdamW moves a weight by its rate, Adafactor by its rate times the size of the weights, about 0.04 in encoders."""
FOCAL_GAMMA = 2.0
CYCLES = 3
"""Of cosine_with_restarts, where the client does not say how long the first one is."""
IMBALANCE = 3.0
"""How many times the commonest class must outnumber the rarest for auto to weigh them."""
USUAL_CHUNK = 512
"""Tokens of a chunk where nobody says: attention over more costs more than it tells, and most base models end here."""


@dataclass(slots=True)
class Answers:
    """Every hyperparameter decided."""

    hyperparameters: ResolvedHyperparameters
    resolutions: list[Resolution]
    total_steps: int


@dataclass(slots=True)
class _Ledger:
    entries: list[Resolution] = field(default_factory=list)

    def note(self, name: str, value: T, reason: str) -> T:
        self.entries.append(Resolution(field=name, value=value, reason=reason))
        return value


def resolve(wishes: Hyperparameters, facts: Facts) -> Answers:
    """Decide every ``auto`` and every default that depends on data or model.

    Raises JobFailure ``warmup-beyond-run``, ``max-length-beyond-model``, ``unknown-label`` or ``class-without-rows``.
    """
    ledger = _Ledger()
    max_length = _max_length(wishes, facts, ledger)
    long_text = _long_text(wishes, facts, ledger)
    batch_size = _batch_size(wishes, facts, max_length, ledger)
    pace = Pace(facts.groups, batch_size, wishes.gradient_accumulation_steps, wishes.curriculum)
    epochs = _epochs(wishes, facts.rows, pace, ledger)
    total_steps = wishes.max_steps or pace.run(epochs)
    warmup_steps = _warmup(wishes, total_steps, ledger)
    schedule = _schedule(wishes, warmup_steps, total_steps - warmup_steps, ledger)
    decided = {
        "num_train_epochs": epochs,
        "batch_size": batch_size,
        "max_length": max_length,
        "long_text": long_text,
        "learning_rate": _rate(wishes, facts, ledger),
        "head_learning_rate_multiplier": _head_multiplier(wishes, facts, ledger),
        "warmup_steps": warmup_steps,
        "lr_scheduler_kwargs": schedule.model_dump(),
        "warmup_ratio": None,
        "focal_gamma": _focal_gamma(wishes, ledger),
        "class_weights": _class_weights(wishes, facts, ledger),
        "dropout": _dropout(wishes, facts, ledger),
        "precision": _precision(wishes, facts, ledger),
        "padding": "longest",  # until the network is there and says that it can do without
        "devices": 1,  # until it is known how many there are
    }
    hyperparameters = ResolvedHyperparameters.model_validate(wishes.model_dump() | decided)
    return Answers(hyperparameters, ledger.entries, total_steps)


def needs_lengths(wishes: Hyperparameters, model: ModelFacts) -> bool:
    """Say whether any answer depends on how many tokens the training texts have."""
    return wishes.max_length == "auto" and model.chunking is None


def _max_length(wishes: Hyperparameters, facts: Facts, ledger: _Ledger) -> int:
    limit = facts.model.position_limit
    if facts.model.chunking is not None:
        return _chunk_length(wishes, facts.model.chunking, limit, ledger)
    if wishes.max_length == "auto":
        keeps = int(np.ceil(np.percentile(facts.token_lengths, 99)))
        if keeps > limit:
            return ledger.note("max_length", limit, f"the base model reads at most {limit} tokens")
        reason = f"99 % of the training texts have at most {keeps} tokens"
        return ledger.note("max_length", min(max(8, keeps), limit), reason)
    if wishes.max_length > limit:
        raise _beyond_model("/hyperparameters/max_length", wishes.max_length, limit)
    return wishes.max_length


def _chunk_length(wishes: Hyperparameters, chunking: Chunking, limit: int, ledger: _Ledger) -> int:
    """Decide ``max_length`` where it is the length of a chunk."""
    if chunking.length != "auto":
        if chunking.length > limit:
            raise _beyond_model("/family/chunk_length", chunking.length, limit)
        length = ledger.note("max_length", chunking.length, "chunk_length of the family")
    elif wishes.max_length != "auto":
        if wishes.max_length > limit:
            raise _beyond_model("/hyperparameters/max_length", wishes.max_length, limit)
        length = wishes.max_length
    else:
        length = min(limit, USUAL_CHUNK)
        reason = f"tokens of a chunk: the base model reads at most {limit}"
        ledger.note("max_length", length, reason if length == limit else f"{reason}, and {length} do for a chunk")
    if 2 * chunking.overlap > length:
        raise _too_much_overlap(chunking.overlap, length)
    return length


def _too_much_overlap(overlap: int, length: int) -> JobFailure:
    return JobFailure(
        detail=f"overlap is {overlap}, more than half of a chunk of {length} tokens.",
        code="overlap-beyond-chunk",
        remedy=f"Set family.overlap to {length // 2} or less.",
        errors=(FieldError("/family/overlap", "overlap-beyond-chunk", "too much", allowed=length // 2),),
        kind="user",
    )


def _beyond_model(place: str, wished: int, limit: int) -> JobFailure:
    name = place.rpartition("/")[2]
    return JobFailure(
        detail=f"{name} is {wished}, but the base model reads at most {limit} tokens.",
        code="max-length-beyond-model",
        remedy=f"Set {name} to {limit} or less, or to 'auto'.",
        errors=(FieldError(place, "max-length-beyond-model", "too long", allowed=limit),),
    )


def _long_text(wishes: Hyperparameters, facts: Facts, ledger: _Ledger) -> LongText:
    if wishes.long_text != "auto":
        return wishes.long_text
    decided: LongText = "truncate" if facts.model.chunking is None else "hierarchical"
    reason = "the family reads a text as a whole"
    if facts.model.chunking is not None:
        reason = f"the family reads up to {facts.model.chunking.max_chunks} chunks"
    ledger.note("long_text", decided, reason)
    return decided


def _batch_size(wishes: Hyperparameters, facts: Facts, max_length: int, ledger: _Ledger) -> int:
    if wishes.batch_size != "auto":
        return wishes.batch_size
    size, reason = usual_batch_size(facts.rows, max_length, in_chunks=facts.model.chunking is not None)
    return ledger.note("batch_size", size, reason)


def _epochs(wishes: Hyperparameters, rows: int, pace: Pace, ledger: _Ledger) -> int:
    if wishes.max_steps is not None:
        epochs = pace.epochs_for(wishes.max_steps)
        if epochs == wishes.num_train_epochs:
            return epochs
        reason = f"max_steps {wishes.max_steps} decides, at {pace.full_epoch()} steps an epoch"
        return ledger.note("num_train_epochs", epochs, reason)
    if wishes.num_train_epochs != "auto":
        return wishes.num_train_epochs
    usual, reason = usual_epochs(rows)
    return ledger.note("num_train_epochs", usual, reason)


def _rate(wishes: Hyperparameters, facts: Facts, ledger: _Ledger) -> float:
    if wishes.learning_rate != "auto":
        return wishes.learning_rate
    rate, reason = facts.model.learning_rate, facts.model.rates_reason
    if wishes.freeze_base:
        rate, reason = FROZEN_BASE_RATE, "only the head learns, which nothing pretrained can lose by"
    if wishes.optim == "adafactor":
        rate *= ADAFACTOR_TIMES
        reason += f"; times {ADAFACTOR_TIMES:g}, since the rate of adafactor is relative to the size of the weights"
    return ledger.note("learning_rate", rate, reason)


def _head_multiplier(wishes: Hyperparameters, facts: Facts, ledger: _Ledger) -> float:
    if wishes.head_learning_rate_multiplier != "auto":
        return wishes.head_learning_rate_multiplier
    if wishes.freeze_base:
        return ledger.note("head_learning_rate_multiplier", 1.0, "the base is frozen: learning_rate is the head's")
    return ledger.note(
        "head_learning_rate_multiplier", facts.model.head_learning_rate_multiplier, facts.model.rates_reason
    )


def _schedule(wishes: Hyperparameters, warmup: int, steps: int, ledger: _Ledger) -> SchedulerOptions:
    """Fill in the options of the schedule; ``steps`` come after the warm-up."""
    options = (wishes.lr_scheduler_kwargs or SchedulerOptions()).completed(wishes.lr_scheduler_type)
    if wishes.lr_scheduler_type == "inverse_sqrt" and options.timescale is None:
        return options.model_copy(update={"timescale": warmup or UNWARMED_TIMESCALE})
    if wishes.lr_scheduler_type != "cosine_with_restarts" or options.T_0 is not None:
        return options
    growth = options.T_mult or 1
    first = max(1, math.ceil(steps / sum(growth**cycle for cycle in range(CYCLES))))
    reason = f"{CYCLES} cycles in the {steps} steps after the warm-up"
    ledger.note("lr_scheduler_kwargs.T_0", first, reason)
    return options.model_copy(update={"T_0": first})


def _warmup(wishes: Hyperparameters, total_steps: int, ledger: _Ledger) -> int:
    if wishes.lr_scheduler_type == "one_cycle":
        share = (wishes.lr_scheduler_kwargs or SchedulerOptions()).completed("one_cycle").pct_start or 0.0
        reason = f"one_cycle rises for pct_start {share:g} of {total_steps} steps"
        return ledger.note("warmup_steps", int(share * total_steps), reason)
    if wishes.warmup_steps is None:
        ratio = DEFAULT_WARMUP_RATIO if wishes.warmup_ratio is None else wishes.warmup_ratio
        steps = int(ratio * total_steps)
        return ledger.note("warmup_steps", steps, f"warmup_ratio {ratio:g} of {total_steps} steps")
    if wishes.warmup_steps >= total_steps:
        raise JobFailure(
            detail=f"warmup_steps is {wishes.warmup_steps}, but the whole run has {total_steps} optimizer steps: "
            "the learning rate would never reach its peak.",
            code="warmup-beyond-run",
            remedy=f"Set warmup_steps below {total_steps}, or use warmup_ratio 0.1.",
            errors=(
                FieldError(
                    "/hyperparameters/warmup_steps",
                    "warmup-beyond-run",
                    f"must be smaller than {total_steps}",
                    allowed=total_steps - 1,
                ),
            ),
        )
    return wishes.warmup_steps


def _focal_gamma(wishes: Hyperparameters, ledger: _Ledger) -> float | None:
    if wishes.loss == "focal" and wishes.focal_gamma is None:
        return ledger.note("focal_gamma", FOCAL_GAMMA, "the value that its authors found best")
    return wishes.focal_gamma


def _class_weights(wishes: Hyperparameters, facts: Facts, ledger: _Ledger) -> dict[str, float] | Literal["none"]:
    wish, counts = wishes.class_weights, facts.class_counts
    if isinstance(wish, dict):
        return named_weights(wish, counts)
    if wish == "balanced":
        return facts.balanced_weights()
    if wish == "none":
        return "none"
    rarest, commonest = min(counts.values()), max(counts.values())
    if rarest == 0 or commonest <= IMBALANCE * rarest:
        reason = (
            "a label has no training rows" if rarest == 0 else f"no class is {IMBALANCE:g} times as common as another"
        )
        ledger.note("class_weights", "none", reason)
        return "none"
    weights = facts.balanced_weights()
    formula = "total / (classes * count)" if facts.multi_label_rows is None else "rows without it / rows with it"
    reason = f"the commonest class has {commonest / rarest:.1f} times the rows of the rarest: {formula}"
    ledger.entries.append(Resolution(field="class_weights", value=weights, reason=reason))
    return weights


def _dropout(wishes: Hyperparameters, facts: Facts, ledger: _Ledger) -> float:
    if wishes.dropout is not None:
        return wishes.dropout
    return ledger.note("dropout", facts.model.dropout, "what the base model says")


def _precision(wishes: Hyperparameters, facts: Facts, ledger: _Ledger) -> Precision:
    if wishes.precision == "auto":
        ledger.note("precision", facts.model.precision, facts.model.precision_reason)
    return facts.model.precision
