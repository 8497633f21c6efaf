"""What a model family cannot do with the rest of a request."""

from collections.abc import Iterator

from app.errors import FieldError
from app.schemas.families import TextCNNOptions
from app.schemas.jobs import TrainJobRequest

_RULE = "unfit-option"
_OWN_VERSION = "model:"


def needs_base_model(request: TrainJobRequest) -> bool:
    """Say whether the job starts from a base model, if only from its tokenizer."""
    family = request.family
    from_scratch = isinstance(family, TextCNNOptions) and family.tokenizer == "own"
    return not from_scratch or request.base_model.startswith(_OWN_VERSION)


def unfit_options(request: TrainJobRequest) -> Iterator[FieldError]:
    """Find what the family would have to ignore."""
    if "base_model" in request.model_fields_set and not needs_base_model(request):
        yield FieldError(
            "/base_model",
            _RULE,
            "would not be read: the tokenizer of this textcnn is its own",
            remedy="Leave it out, set family.tokenizer to base_model, or start from a version: model:NAME.",
        )
    if isinstance(request.family, TextCNNOptions) and request.hyperparameters.gradient_checkpointing:
        yield FieldError(
            "/hyperparameters/gradient_checkpointing",
            _RULE,
            "must be false: a textcnn has nothing worth computing twice",
            [False],
            "Leave it out.",
        )
