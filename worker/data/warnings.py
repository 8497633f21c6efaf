"""What is worth knowing of prepared data and does not stop the job."""

from collections.abc import Iterator, Mapping

from app.schemas.datasets import SplitName
from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.jobs import JobWarning
from app.schemas.text import TokenizerSettings
from worker.data.encode import Encoded
from worker.data.resolve import Answers

MUCH_TRUNCATED = 0.05
EXTREME_WEIGHTS = 20.0


def of_splits(
    splits: Mapping[SplitName, Encoded], decided: ResolvedHyperparameters, settings: TokenizerSettings
) -> Iterator[JobWarning]:
    """Say what the rows lack, or lose."""
    train = splits["train"]
    if "validation" not in splits:
        yield JobWarning(
            code="no-validation-split",
            detail="Without validation rows there is no early stopping and no best checkpoint: the last state is kept.",
            remedy="Upload the dataset with a validation_fraction above 0.",
        )
    if train.truncated > MUCH_TRUNCATED * len(train):
        yield _truncated(train, settings)
    weights = decided.class_weights
    if isinstance(weights, dict) and max(weights.values()) > EXTREME_WEIGHTS * min(weights.values()):
        yield JobWarning(
            code="extreme-class-weights",
            detail=f"The rarest class weighs more than {EXTREME_WEIGHTS:g} times as much as the commonest one.",
            remedy="Collect more rows of the rare class, or give milder class_weights; watch precision of that class.",
        )


def _truncated(train: Encoded, settings: TokenizerSettings) -> JobWarning:
    limit, lost, remedy = f"max_length {settings.max_length}", "end", "Raise max_length if the base model allows it"
    if settings.max_chunks is not None:
        limit, remedy = f"{settings.max_chunks} chunks of {settings.max_length} tokens", "Raise family.max_chunks"
    else:
        remedy += ", set family to hierarchical, which reads long texts in chunks"
        lost = "middle" if settings.long_text == "head_tail" else lost
    return JobWarning(
        code="texts-truncated",
        detail=f"{train.truncated} of {len(train)} training texts are longer than {limit} and lose their {lost}.",
        remedy=f"{remedy}, or shorten the texts.",
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
