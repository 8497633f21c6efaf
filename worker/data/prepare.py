"""From rows to batches: decide every ``auto``, tokenize."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import FieldError, JobFailure, nearest
from app.schemas.datasets import ProblemType, SplitName
from app.schemas.hyperparameters import Hyperparameters, Resolution, ResolvedHyperparameters
from app.schemas.jobs import JobWarning
from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import TextEncoder
from worker.data.batches import Batches
from worker.data.encode import Encoded, encode, token_lengths
from worker.data.resolve import Answers, Facts, ModelFacts, resolve
from worker.data.rows import Rows, indices

SAMPLE = 20_000
"""Training texts whose length is measured at most; their 99th percentile is as good as that of all."""
MUCH_TRUNCATED = 0.05
EXTREME_WEIGHTS = 20.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything training needs to know of the data."""

    train: Batches
    validation: Batches | None
    test: Batches | None
    encoder: TextEncoder
    hyperparameters: ResolvedHyperparameters
    resolutions: list[Resolution]
    total_steps: int
    warnings: list[JobWarning]


def prepare(
    rows: dict[SplitName, Rows],
    labels: Sequence[str],
    *,
    tokenizer: Path,
    text: TextOptions,
    wishes: Hyperparameters,
    model: ModelFacts,
    check: Callable[[], None],
    problem_type: ProblemType = "single_label",
) -> Prepared:
    """Make the batches of every split; ``check`` is called now and then and may raise to stop.

    Raises JobFailure for data or wishes that cannot work together.
    """
    _check_metric(wishes.metric_for_best_model, labels)
    content = tokenizer.read_bytes()

    def encoder(max_length: int) -> TextEncoder:
        settings = TokenizerSettings(max_length=max_length, pad_token_id=model.pad_token_id)
        return TextEncoder.from_files(content, settings, text)

    lengths = token_lengths(_sample(rows["train"].texts), encoder(model.position_limit), check=check)
    answers = resolve(wishes, _facts(rows["train"], labels, lengths, model, problem_type))
    chosen = encoder(answers.hyperparameters.max_length)
    splits = {
        name: encode(
            split,
            chosen,
            vocabulary=model.vocabulary,
            check=check,
            labels=len(labels) if problem_type == "multi_label" else 0,
        )
        for name, split in rows.items()
        if split.texts
    }
    return Prepared(
        train=Batches(splits["train"], chosen),
        validation=_batches(splits, "validation", chosen),
        test=_batches(splits, "test", chosen),
        encoder=chosen,
        hyperparameters=answers.hyperparameters,
        resolutions=answers.resolutions,
        total_steps=answers.total_steps,
        warnings=[*_warnings(splits, answers.hyperparameters), *_never_reached(answers)],
    )


def _batches(splits: dict[SplitName, Encoded], name: SplitName, encoder: TextEncoder) -> Batches | None:
    return Batches(splits[name], encoder) if name in splits else None


def _sample(texts: Sequence[str]) -> Sequence[str]:
    if len(texts) <= SAMPLE:
        return texts
    chosen = np.random.default_rng(0).choice(len(texts), SAMPLE, replace=False)
    return [texts[index] for index in chosen]


def _counts(train: Rows, labels: Sequence[str]) -> dict[str, int]:
    counts = Counter(indices(train.labels))
    return {label: counts[index] for index, label in enumerate(labels)}


def _facts(
    train: Rows, labels: Sequence[str], lengths: NDArray[np.int64], model: ModelFacts, problem_type: ProblemType
) -> Facts:
    rows = len(train.texts) if problem_type == "multi_label" else None
    return Facts(_counts(train, labels), lengths, model, rows)


def _check_metric(metric: str, labels: Sequence[str]) -> None:
    _, _, label = metric.partition(":")
    if not label or label in labels:
        return
    meant = nearest(label, labels)
    raise JobFailure(
        detail=f"metric_for_best_model is {metric!r}, but the dataset has no label {label!r}.",
        code="unknown-label",
        remedy=f"Did you mean {meant!r}?" if meant else "Name one of the dataset's labels, or use 'f1_macro'.",
        errors=(
            FieldError("/hyperparameters/metric_for_best_model", "unknown-label", "unknown", allowed=list(labels)),
        ),
    )


def _warnings(splits: dict[SplitName, Encoded], decided: ResolvedHyperparameters) -> Iterator[JobWarning]:
    train = splits["train"]
    if "validation" not in splits:
        yield JobWarning(
            code="no-validation-split",
            detail="Without validation rows there is no early stopping and no best checkpoint: the last state is kept.",
            remedy="Upload the dataset with a validation_fraction above 0.",
        )
    if train.truncated > MUCH_TRUNCATED * len(train):
        yield JobWarning(
            code="texts-truncated",
            detail=f"{train.truncated} of {len(train)} training texts are longer than max_length "
            f"{decided.max_length} and lose their end.",
            remedy="Raise max_length if the base model allows it, or shorten the texts.",
        )
    weights = decided.class_weights
    if isinstance(weights, dict) and max(weights.values()) > EXTREME_WEIGHTS * min(weights.values()):
        yield JobWarning(
            code="extreme-class-weights",
            detail=f"The rarest class weighs more than {EXTREME_WEIGHTS:g} times as much as the commonest one.",
            remedy="Collect more rows of the rare class, or give milder class_weights; watch precision of that class.",
        )


def _never_reached(answers: Answers) -> Iterator[JobWarning]:
    """Say what the run is too short for."""
    decided = answers.hyperparameters
    late = [epoch for epoch in decided.unfreeze_schedule or {} if int(epoch) >= decided.num_train_epochs]
    if late:
        yield JobWarning(
            code="never-unfrozen",
            detail=f"unfreeze_schedule names epoch {late[0]}, but the last one of this run is "
            f"{decided.num_train_epochs - 1}, counted from 0.",
            remedy="Train for more epochs, or unfreeze earlier.",
        )
    first = decided.lr_scheduler_kwargs.T_0 if decided.lr_scheduler_kwargs is not None else None
    left = answers.total_steps - decided.warmup_steps
    if first is not None and first >= left:
        yield JobWarning(
            code="no-restart",
            detail=f"T_0 is {first}, but only {left} optimizer steps come after the warm-up: the learning rate never "
            "starts anew.",
            remedy=f"Set T_0 below {left}, or leave it out for three cycles.",
        )
