"""What a model family cannot do with the rest of a request."""

from collections.abc import Iterator, Mapping

from app.errors import FieldError
from app.schemas.base import Auto
from app.schemas.families import FamilyName, HierarchicalOptions, TextCNNOptions
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.jobs import TrainJobRequest

_RULE = "unfit-option"
_OWN_VERSION = "model:"
_LONG_TEXT = "/hyperparameters/long_text"
_OF_OWN_TOKENIZER = ("tokenizer_algorithm", "lowercase", "vocab_size")
_KEPT: Mapping[FamilyName, tuple[str, ...]] = {
    "textcnn": (*_OF_OWN_TOKENIZER, "embed_size", "num_filters", "filter_sizes"),
    "hierarchical": ("attention_size",),
}
"""What a version decides for those that go on from it."""


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
    yield from _unfit_reading(request)
    yield from _unfit_dropout(request)
    if isinstance(request.family, TextCNNOptions) and request.hyperparameters.gradient_checkpointing:
        yield FieldError(
            "/hyperparameters/gradient_checkpointing",
            _RULE,
            "must be false: a textcnn has nothing worth computing twice",
            [False],
            "Leave it out.",
        )


def unread_options(request: TrainJobRequest, begun_as: str | None) -> Iterator[FieldError]:
    """Find what would not be read because of what training starts from.

    ``begun_as`` is the family of the version that it goes on from; None: it starts from no version.
    """
    family = request.family
    given = [name for name in type(family).model_fields if name in family.model_fields_set]
    if begun_as == family.type:
        for name in given:
            if name in _KEPT.get(family.type, ()):
                yield _unread(name, "training goes on from a version, which has its own")
    elif isinstance(family, TextCNNOptions):
        for name in given:
            if family.tokenizer == "base_model" and name in _OF_OWN_TOKENIZER:
                yield _unread(name, "the tokenizer is that of the base model")
        yield from _frozen_for_nothing(request.hyperparameters)


def _unread(name: str, why: str) -> FieldError:
    return FieldError(f"/family/{name}", _RULE, f"would not be read: {why}", remedy="Leave it out.")


def _frozen_for_nothing(wishes: Hyperparameters) -> Iterator[FieldError]:
    allowed = {"freeze_base": [False], "unfreeze_schedule": [None]}
    for name in allowed:
        if getattr(wishes, name):
            yield FieldError(
                f"/hyperparameters/{name}",
                _RULE,
                "would keep what is drawn at random as it is: this textcnn is trained from scratch",
                allowed[name],
                "Leave it out, or start from a version that is a textcnn: model:NAME.",
            )


def _unfit_dropout(request: TrainJobRequest) -> Iterator[FieldError]:
    family, wish = request.family, request.hyperparameters.dropout
    if not isinstance(family, HierarchicalOptions | TextCNNOptions) or wish is None:
        return
    if "dropout" in family.model_fields_set and family.dropout != wish:
        yield FieldError(
            "/family/dropout",
            _RULE,
            f"is {family.dropout:g} and that of hyperparameters is {wish:g}: both are the dropout before the head",
            [family.dropout, wish],
            "Leave one of the two out.",
        )


def _unfit_reading(request: TrainJobRequest) -> Iterator[FieldError]:
    """Find what does not fit the way the family reads long texts."""
    family, wish = request.family, request.hyperparameters.long_text
    if not isinstance(family, HierarchicalOptions):
        if wish == "hierarchical":
            yield FieldError(
                _LONG_TEXT,
                _RULE,
                f"takes the family hierarchical, which reads chunks; {family.type} reads a text as a whole",
                ["auto", "truncate", "head_tail", "error"],
                "Set family to hierarchical, or long_text to truncate or head_tail.",
            )
        return
    if wish in ("truncate", "head_tail"):
        yield FieldError(
            _LONG_TEXT,
            _RULE,
            "is for families that read a text as a whole; hierarchical reads all of it, up to max_chunks chunks",
            ["auto", "hierarchical", "error"],
            "Leave it out, or set family to encoder.",
        )
    yield from _unfit_chunks(family, request.hyperparameters.max_length)


def _unfit_chunks(family: HierarchicalOptions, max_length: int | Auto) -> Iterator[FieldError]:
    lengths = [length for length in (family.chunk_length, max_length) if length != "auto"]
    if len(set(lengths)) > 1:
        yield FieldError(
            "/family/chunk_length",
            _RULE,
            f"is {lengths[0]} and max_length is {lengths[1]}: both are the tokens of a chunk",
            lengths,
            "Leave one of the two out.",
        )
    elif lengths and 2 * family.overlap > lengths[0]:
        most = lengths[0] // 2
        yield FieldError(
            "/family/overlap",
            _RULE,
            f"must be at most {most}, half of a chunk",
            {"type": "integer", "minimum": 0, "maximum": most},
            f"Use at most {most}, or longer chunks.",
        )
