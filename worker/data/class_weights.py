"""What each label weighs in the loss: as given, or by how rare it is."""

from collections.abc import Mapping

from app.errors import FieldError, JobFailure, nearest


def balanced_weights(class_counts: Mapping[str, int]) -> dict[str, float]:
    """Weigh each class by total / (classes * count). Raises JobFailure ``class-without-rows``."""
    _refuse_empty(class_counts)
    total, classes = sum(class_counts.values()), len(class_counts)
    return {label: total / (classes * count) for label, count in class_counts.items()}


def positive_weights(class_counts: Mapping[str, int], rows: int) -> dict[str, float]:
    """Weigh the rows that have a label by those that have it not. Raises JobFailure ``class-without-rows``.

    A label that every row has weighs as if one had it not.
    """
    _refuse_empty(class_counts)
    return {label: max(1, rows - count) / count for label, count in class_counts.items()}


def named_weights(wish: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
    """Take the weights of a request, one for each label. Raises JobFailure ``unknown-label``."""
    unknown = [label for label in wish if label not in counts]
    missing = [label for label in counts if label not in wish]
    if unknown or missing:
        detail = (
            f"class_weights names {unknown[0]!r}, which is no label" if unknown else f"{missing[0]!r} has no weight"
        )
        meant = nearest(unknown[0], counts) if unknown else None
        hint = f" Did you mean {meant!r}?" if meant else ""
        raise JobFailure(
            detail=f"{detail}.",
            code="unknown-label",
            remedy=f"Give a weight for each of the dataset's labels and no other.{hint}",
            errors=(FieldError("/hyperparameters/class_weights", "unknown-label", detail, allowed=list(counts)),),
        )
    return {label: wish[label] for label in counts}


def _refuse_empty(class_counts: Mapping[str, int]) -> None:
    empty = [label for label, count in class_counts.items() if count == 0]
    if empty:
        raise JobFailure(
            detail=f"Balanced class weights need training rows of every label; {empty[0]!r} has none.",
            code="class-without-rows",
            remedy="Add training rows of this label, or set class_weights to 'none'.",
            errors=(
                FieldError("/hyperparameters/class_weights", "class-without-rows", "a label has no training rows"),
            ),
        )
