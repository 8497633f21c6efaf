"""How long a run is, in optimizer steps, as far as it can be known before the texts are tokenized."""

from collections.abc import Mapping

from app.schemas.hyperparameters import Hyperparameters
from app.schemas.plans import Estimate
from app.schemas.steps import Pace


def estimate(
    wishes: Hyperparameters, *, train_rows: Mapping[str, int], validation_rows: int, in_chunks: bool = False
) -> Estimate:
    """Size the run by the training rows of each label; ``in_chunks`` says that the family reads texts in chunks.

    Where it depends on the texts, assume what makes more steps: they are long, and all of them can be augmented.
    """
    rows = sum(train_rows.values())
    batch_size = _batch_size(wishes, rows, in_chunks=in_chunks)
    copies = wishes.augmentation.augmentation_factor if wishes.augmentation and wishes.augmentation.enabled else 0
    groups = [count * (1 + copies) for count in train_rows.values()]
    pace = Pace(groups, batch_size, wishes.gradient_accumulation_steps, wishes.curriculum)
    epochs = _epochs(wishes, rows, pace)
    total = pace.run(epochs)
    return Estimate(
        train_rows=rows,
        validation_rows=validation_rows,
        batch_size=batch_size,
        num_train_epochs=epochs,
        steps_per_epoch=pace.full_epoch(),
        total_steps=total if wishes.max_steps is None else min(total, wishes.max_steps),
    )


def _batch_size(wishes: Hyperparameters, rows: int, *, in_chunks: bool) -> int:
    if wishes.batch_size != "auto":
        return wishes.batch_size
    if in_chunks:
        return 4
    return 8 if rows < 200 else 16


def _epochs(wishes: Hyperparameters, rows: int, pace: Pace) -> int:
    if wishes.max_steps is not None:
        return pace.epochs_for(wishes.max_steps)
    if wishes.num_train_epochs != "auto":
        return wishes.num_train_epochs
    return 10 if rows < 5_000 else 5 if rows < 20_000 else 3
