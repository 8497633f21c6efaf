"""Whether a job's rows have one label or any number of them, and what then makes no sense."""

from collections.abc import Iterator

from app.errors import FieldError, nearest
from app.preflight.strict_json import pointer
from app.schemas.datasets import DatasetProfile, ProblemType
from app.schemas.jobs import TrainJobRequest

_RULE = "unfit-option"


def problem_type_of(request: TrainJobRequest, profile: DatasetProfile) -> ProblemType:
    """Say what the job will train: what was asked for, else what the dataset is."""
    return profile.problem_type if request.problem_type == "auto" else request.problem_type


def unfit_problem(request: TrainJobRequest, profile: DatasetProfile) -> Iterator[FieldError]:
    """Find what the dataset's labels do not allow."""
    if request.problem_type == "single_label" and profile.problem_type == "multi_label":
        yield FieldError(
            "/problem_type",
            _RULE,
            "must be multi_label: rows of this dataset have any number of labels",
            ["auto", "multi_label"],
            "Leave it out, or upload a dataset with one label a row.",
        )
    if problem_type_of(request, profile) == "multi_label":
        yield from _single_label_only(request)
    wish = request.hyperparameters.thresholds
    place = "/hyperparameters/thresholds"
    if problem_type_of(request, profile) == "single_label" and wish != 0.5:
        yield FieldError(
            place,
            _RULE,
            "is for multi_label: with one label a row the most probable label is the answer",
            remedy="Leave it out, or set problem_type to multi_label.",
        )
    unknown = [name for name in wish if name not in profile.labels] if isinstance(wish, dict) else []
    for name in unknown[:20]:
        near = nearest(name, profile.labels)
        remedy = f"Did you mean {near}?" if near else "Name the dataset's labels, or use tuned."
        yield FieldError(f"{place}{pointer((name,))}", _RULE, "is no label of the dataset", profile.labels[:50], remedy)


def _single_label_only(request: TrainJobRequest) -> Iterator[FieldError]:
    if request.decision.abstain_below is not None:
        yield FieldError(
            "/decision/abstain_below",
            _RULE,
            "is for one label a row: with any number of them, thresholds decide on each label, and a text may get none",
            remedy="Leave it out; raise hyperparameters.thresholds to give labels more rarely.",
        )
    if request.hyperparameters.distillation is not None:
        yield FieldError(
            "/hyperparameters/distillation",
            _RULE,
            "is for one label a row: it compares labels with each other",
            remedy="Leave it out, or set problem_type to single_label if the dataset allows it.",
        )
