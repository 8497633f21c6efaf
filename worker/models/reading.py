"""How a model reads texts, noted in its ``config.json``: a checkpoint alone then says how to ask it."""

from pathlib import Path
from typing import Any

from app.schemas.text import TokenizerSettings
from worker.models.families import HIERARCHICAL, position_limit
from worker.models.tokenizer import pad_token_id


def settings_of(config: Any, tokenizer: Path) -> TokenizerSettings:
    """Say how texts become ids for a trained model: as a whole up to its limit, or in the chunks it was trained on.

    Raises JobFailure ``no-padding-token``.
    """
    padding = pad_token_id(config, tokenizer)
    if config.model_type != HIERARCHICAL:
        return TokenizerSettings(max_length=position_limit(config), pad_token_id=padding)
    return TokenizerSettings(
        max_length=config.chunk_length,
        pad_token_id=padding,
        long_text="hierarchical",
        max_chunks=config.max_chunks,
        overlap=config.overlap,
    )


def note(config: Any, settings: TokenizerSettings) -> None:
    """Write into the config of a model that reads chunks which ones."""
    if settings.max_chunks is not None:
        config.max_chunks = settings.max_chunks
        config.chunk_length = settings.max_length
        config.overlap = settings.overlap
