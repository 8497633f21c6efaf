"""What is worth knowing of prepared data and does not stop the job."""

from collections.abc import Iterator, Mapping

from app.schemas.datasets import SplitName
from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.jobs import JobWarning
from worker.data.encode import Encoded
from worker.data.resolve import Answers

MUCH_TRUNCATED = 0.05
EXTREME_WEIGHTS = 20.0


def of_splits(splits: Mapping[SplitName, Encoded], decided: ResolvedHyperparameters) -> Iterator[JobWarning]:
    """Say what the rows lack, or lose."""
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


def never_reached(answers: Answers) -> Iterator[JobWarning]:
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
