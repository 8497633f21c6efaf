"""What training draws from: the training split, altered copies behind it, epoch by epoch as a curriculum has it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.schemas.augmentation import AugmentationOptions
from app.schemas.curriculum import CurriculumOptions
from app.schemas.hyperparameters import Resolution, ResolvedHyperparameters
from app.schemas.jobs import JobWarning
from worker.data import augment, difficulty
from worker.data.batches import Batches
from worker.data.curriculum import Curriculum, CurriculumBatches
from worker.data.encode import Encoded
from worker.data.rows import Rows
from worker.data.synonyms import load_synonyms

Indices = NDArray[np.int64]
EPOCHS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Copied:
    """Training rows with their altered copies behind them."""

    rows: Rows
    origin: Indices  # (rows,)
    """For each row the index of the one it was made from."""
    resolutions: list[Resolution] = field(default_factory=list)
    warnings: list[JobWarning] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ordered:
    """Batches for training."""

    batches: Batches | CurriculumBatches
    resolutions: list[Resolution] = field(default_factory=list)


def add_copies(
    train: Rows,
    options: AugmentationOptions | None,
    *,
    seed: int,
    synonyms_dir: Path | None,
    check: Callable[[], None],
) -> Copied:
    """Augment the training split as wished. Raises JobFailure ``synonyms-unreadable``."""
    if options is None or not options.enabled:
        return Copied(train, np.arange(len(train.texts)))
    made = augment.augment(train, options, seed, load_synonyms(synonyms_dir), check)
    total, skipped = sum(made.made.values()), sum(made.left_alone.values())
    reason = f"{total} altered copies of {len(train.texts)} training rows, by technique"
    if skipped:
        reason += f"; {skipped} were not made, since nothing could alter their texts"
    counts: dict[str, float] = {str(name): count for name, count in sorted(made.made.items())}
    return Copied(
        made.rows,
        made.origin,
        [Resolution(field="augmentation", value=counts, reason=reason)],
        list(augment.warnings(made)),
    )


def order(
    batches: Batches,
    split: Encoded,
    copied: Copied,
    wishes: ResolvedHyperparameters,
    *,
    classes: int,
) -> Ordered:
    """Let a curriculum choose the rows of each epoch, if one is wished; a copy is as hard as what it was made from.

    Raises JobFailure ``no-difficulties``.
    """
    options = wishes.curriculum
    if options is None:
        return Ordered(batches)
    originals = _first(split, int(copied.origin.max(initial=-1)) + 1)
    several = split.labels.ndim > 1
    if several:  # each set of labels counts as a class of its own
        originals = replace(originals, labels=np.unique(originals.labels, axis=0, return_inverse=True)[1].reshape(-1))
        classes = int(originals.labels.max(initial=0)) + 1
    hardness = _difficulties(originals, copied.rows, options, classes=classes, seed=wishes.seed)
    groups = np.zeros(len(split), dtype=np.int64) if several else split.labels
    curriculum = Curriculum(hardness[copied.origin], groups, options, epochs=wishes.num_train_epochs)
    sizes = curriculum.sizes()[:EPOCHS_SHOWN]
    shown = {str(epoch): float(rows) for epoch, rows in enumerate(sizes)}
    each = "each label's easiest" if options.by_label and not several else "the easiest"
    reason = f"rows by epoch: {each} of {len(split)} by {options.difficulty.replace('_', ' ')}"
    return Ordered(
        CurriculumBatches(batches, split.lengths, curriculum),
        [Resolution(field="curriculum", value=shown, reason=reason)],
    )


def _difficulties(
    split: Encoded, rows: Rows, options: CurriculumOptions, *, classes: int, seed: int
) -> difficulty.Difficulties:
    match options.difficulty:
        case "length":
            return difficulty.by_length(split)
        case "probe_loss":
            return difficulty.by_probe_loss(split, classes=classes, seed=seed)
        case "column":
            return difficulty.by_column(rows.difficulties, len(split))


def _first(split: Encoded, rows: int) -> Encoded:
    """Give the first rows of a split: those that are no copies."""
    end = split.starts[rows]
    return Encoded(split.tokens[:end], split.starts[: rows + 1], split.labels[:rows], split.truncated)
