"""How long a run is, in optimizer steps, as far as it can be known before the texts are tokenized."""

import math

from app.schemas.hyperparameters import Hyperparameters
from app.schemas.plans import Estimate


def estimate(wishes: Hyperparameters, *, train_rows: int, validation_rows: int) -> Estimate:
    """Size the run; where ``auto`` depends on the length of the texts, assume that they are long (more steps)."""
    batch_size = _batch_size(wishes, train_rows)
    steps_per_epoch = math.ceil(math.ceil(train_rows / batch_size) / wishes.gradient_accumulation_steps)
    epochs = _epochs(wishes, train_rows, steps_per_epoch)
    total = steps_per_epoch * epochs
    return Estimate(
        train_rows=train_rows,
        validation_rows=validation_rows,
        batch_size=batch_size,
        num_train_epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        total_steps=total if wishes.max_steps is None else min(total, wishes.max_steps),
    )


def _batch_size(wishes: Hyperparameters, rows: int) -> int:
    if wishes.batch_size != "auto":
        return wishes.batch_size
    return 8 if rows < 200 else 16


def _epochs(wishes: Hyperparameters, rows: int, steps_per_epoch: int) -> int:
    if wishes.max_steps is not None:
        return math.ceil(wishes.max_steps / steps_per_epoch)
    if wishes.num_train_epochs != "auto":
        return wishes.num_train_epochs
    return 10 if rows < 5_000 else 5 if rows < 20_000 else 3
