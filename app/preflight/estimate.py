"""How long a run is, in optimizer steps, as far as it can be known before the texts are tokenized."""

from collections.abc import Mapping

from app.schemas.hyperparameters import Hyperparameters
from app.schemas.plans import Estimate
from app.schemas.steps import Pace, usual_batch_size, usual_epochs

LONGEST = 1_000_000
"""Tokens: longer than any rule asks for."""


def estimate(
    wishes: Hyperparameters,
    *,
    train_rows: Mapping[str, int],
    validation_rows: int,
    in_chunks: bool = False,
    max_length: int | None = None,
) -> Estimate:
    """Size the run by the training rows of each label; ``in_chunks`` says that the family reads texts in chunks.

    ``max_length`` is what the texts are guessed to need: then every ``auto`` is taken at the worker's rule, with all
    copies of an augmentation made. Without it, whatever depends on the texts is assumed to make more steps.
    """
    rows = sum(train_rows.values())
    copies = wishes.augmentation.augmentation_factor if wishes.augmentation and wishes.augmentation.enabled else 0
    groups = [count * (1 + copies) for count in train_rows.values()]
    counted = rows if max_length is None else sum(groups)  # what the rules look at
    batch_size = _batch_size(wishes, counted, max_length or LONGEST, in_chunks=in_chunks)
    pace = Pace(groups, batch_size, wishes.gradient_accumulation_steps, wishes.curriculum)
    epochs = _epochs(wishes, counted, pace)
    total = pace.run(epochs)
    return Estimate(
        train_rows=rows,
        validation_rows=validation_rows,
        batch_size=batch_size,
        num_train_epochs=epochs,
        steps_per_epoch=pace.full_epoch(),
        total_steps=total if wishes.max_steps is None else min(total, wishes.max_steps),
    )


def _batch_size(wishes: Hyperparameters, rows: int, max_length: int, *, in_chunks: bool) -> int:
    if wishes.batch_size != "auto":
        return wishes.batch_size
    return usual_batch_size(rows, max_length, in_chunks=in_chunks)[0]


def _epochs(wishes: Hyperparameters, rows: int, pace: Pace) -> int:
    if wishes.max_steps is not None:
        return pace.epochs_for(wishes.max_steps)
    if wishes.num_train_epochs != "auto":
        return wishes.num_train_epochs
    return usual_epochs(rows)[0]
