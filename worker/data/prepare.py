"""From rows to batches: decide every ``auto``, tokenize."""

from collections import Counter
from collections.abc import Callable, Sequence
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
from worker.data import warnings
from worker.data.batches import Batches
from worker.data.curriculum import CurriculumBatches
from worker.data.encode import Encoded, labelled, recut, tokenize
from worker.data.facts import Facts, ModelFacts
from worker.data.lessons import add_copies, order
from worker.data.long_texts import reading, refuse_long
from worker.data.resolve import needs_lengths, resolve
from worker.data.rows import Rows, indices
from worker.data.token_cache import TokenCache


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything training needs to know of the data."""

    train: Batches
    """The rows of the training split, altered copies behind them."""
    lessons: Batches | CurriculumBatches
    """The same as training is to draw from it."""
    rows: Rows
    """The same as texts."""
    validation: Batches | None
    test: Batches | None
    encoder: TextEncoder
    hyperparameters: ResolvedHyperparameters
    resolutions: list[Resolution]
    total_steps: int
    warnings: list[JobWarning]
    tokens: TokenCache
    """What else is read with the same tokenizer can be kept here too."""


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
    synonyms_dir: Path | None = None,
    cache_dir: Path | None = None,
) -> Prepared:
    """Make the batches of every split; ``check`` is called now and then and may raise to stop.

    Only the training split is augmented and ordered; ``synonyms_dir`` has the operator's word lists for that. Training
    rows of further tasks have labels beyond ``labels``. ``cache_dir`` is where ids are kept for the next attempt.
    Raises JobFailure for data or wishes that cannot work together.
    """
    _check_metric(wishes.metric_for_best_model, labels)
    copied = add_copies(rows["train"], wishes.augmentation, seed=wishes.seed, synonyms_dir=synonyms_dir, check=check)
    rows = rows | {"train": copied.rows}
    content = tokenizer.read_bytes()
    tokens = TokenCache(cache_dir, content, text)

    whole = TokenizerSettings(max_length=model.position_limit, pad_token_id=model.pad_token_id)
    read = None
    if needs_lengths(wishes, model):
        read = tokenize(rows["train"].texts, TextEncoder.from_files(content, whole, text), check=check, cache=tokens)
    lengths = np.zeros(0, dtype=np.int64) if read is None else read.lengths
    answers = resolve(wishes, _facts(rows["train"], labels, lengths, model, problem_type))
    chosen = TextEncoder.from_files(content, reading(answers.hyperparameters, model), text)
    several = len(labels) if problem_type == "multi_label" else 0

    def encoded(name: SplitName) -> Encoded:
        if name == "train" and read is not None:
            made = recut(read, rows[name].texts, chosen, check=check, cache=tokens)
        else:
            made = tokenize(rows[name].texts, chosen, check=check, cache=tokens)
        return labelled(made, rows[name], vocabulary=model.vocabulary, labels=several)

    splits = {name: encoded(name) for name, split in rows.items() if split.texts}
    if chosen.refuses_long:
        refuse_long(splits, chosen.settings)
    train = Batches(splits["train"], chosen)
    ordered = order(train, splits["train"], copied, answers.hyperparameters, classes=len(labels))
    return Prepared(
        train=train,
        lessons=ordered.batches,
        rows=copied.rows,
        validation=_batches(splits, "validation", chosen),
        test=_batches(splits, "test", chosen),
        encoder=chosen,
        hyperparameters=answers.hyperparameters,
        resolutions=[*answers.resolutions, *copied.resolutions, *ordered.resolutions],
        total_steps=answers.total_steps,
        warnings=[
            *copied.warnings,
            *warnings.of_splits(splits, answers.hyperparameters, chosen.settings),
            *warnings.never_reached(answers),
        ],
        tokens=tokens,
    )


def _batches(splits: dict[SplitName, Encoded], name: SplitName, encoder: TextEncoder) -> Batches | None:
    return Batches(splits[name], encoder) if name in splits else None


def _counts(train: Rows, labels: Sequence[str]) -> dict[str, int]:
    counts = Counter(indices(train.labels))
    return {label: counts[index] for index, label in enumerate(labels)}


def _facts(
    train: Rows, labels: Sequence[str], lengths: NDArray[np.int64], model: ModelFacts, problem_type: ProblemType
) -> Facts:
    counts, rows = _counts(train, labels), len(train.texts)
    if problem_type == "multi_label":
        return Facts(counts, lengths, model, rows)
    return Facts(counts, lengths, model, further_rows=rows - sum(counts.values()))


def _check_metric(chosen: str | dict[str, float], labels: Sequence[str]) -> None:
    for metric in [chosen] if isinstance(chosen, str) else chosen:
        _, _, label = metric.partition(":")
        if label and label not in labels:
            raise _unknown_label(metric, label, labels)


def _unknown_label(metric: str, label: str, labels: Sequence[str]) -> JobFailure:
    meant = nearest(label, labels)
    return JobFailure(
        detail=f"metric_for_best_model has {metric!r}, but the dataset has no label {label!r}.",
        code="unknown-label",
        remedy=f"Did you mean {meant!r}?" if meant else "Name one of the dataset's labels, or use 'f1_macro'.",
        errors=(
            FieldError("/hyperparameters/metric_for_best_model", "unknown-label", "unknown", allowed=list(labels)),
        ),
    )
