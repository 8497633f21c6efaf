"""Texts that are longer than the model reads: how they are read, and the refusal where none may be cut."""

from collections.abc import Mapping

from app.errors import FieldError, JobFailure
from app.schemas.datasets import SplitName
from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.text import TokenizerSettings
from worker.data.encode import Encoded
from worker.data.facts import ModelFacts


def reading(decided: ResolvedHyperparameters, model: ModelFacts) -> TokenizerSettings:
    """Say how texts become ids, in the job and wherever its version will be served."""
    chunking = model.chunking
    return TokenizerSettings(
        max_length=decided.max_length,
        pad_token_id=model.pad_token_id,
        long_text=decided.long_text,
        max_chunks=None if chunking is None else chunking.max_chunks,
        overlap=0 if chunking is None else chunking.overlap,
    )


def refuse_long(splits: Mapping[SplitName, Encoded], settings: TokenizerSettings) -> None:
    """Raise JobFailure ``texts-too-long`` when a text of any split would have to be cut."""
    cut = {name: split.truncated for name, split in splits.items() if split.truncated}
    if not cut:
        return
    rows = ", ".join(f"{count} of {len(splits[name])} {name} rows" for name, count in cut.items())
    longest = max(splits[name].longest for name in cut)
    limit = f"{settings.max_length} tokens"
    if settings.max_chunks is not None:
        limit = f"{settings.max_chunks} chunks of {limit}"
    raise JobFailure(
        detail=f"{rows} are longer than {limit}, the longest has {longest} tokens, and long_text is 'error'.",
        code="texts-too-long",
        remedy=_remedy(settings),
        errors=(FieldError("/hyperparameters/long_text", "texts-too-long", f"{rows} are longer than {limit}"),),
        extra={"rows": sum(cut.values()), "longest": longest},
    )


def _remedy(settings: TokenizerSettings) -> str:
    if settings.max_chunks is not None:
        return (
            "Raise family.max_chunks, shorten these texts, or set long_text to 'hierarchical', which reads what fits."
        )
    return (
        "Raise max_length if the base model allows it, shorten these texts, set long_text to 'truncate' or "
        "'head_tail', or set family to 'hierarchical', which reads long texts in chunks."
    )
