"""Texts that a version refuses, because it was trained on none that had to be cut."""

from app.errors import FieldError, Unprocessable
from app.text.tokenizer import Encoded, TextEncoder

_RULE = "too-many-tokens"
_MOST_NAMED = 20


def refuse_long(encoded: Encoded, encoder: TextEncoder, *, alone: bool = False) -> None:
    """Raise Unprocessable ``too-many-tokens`` for texts that would be cut, where the version is not to cut any.

    ``alone`` says that ``inputs`` is one text and no list.
    """
    if not encoder.refuses_long or not any(encoded.truncated):
        return
    most, chunks = encoder.settings.max_length, encoder.settings.max_chunks
    limit = f"{most} tokens" if chunks is None else f"{chunks} chunks of {most} tokens"
    long = [index for index, cut in enumerate(encoded.truncated) if cut]
    remedy = f"Send at most {limit}, or train a version with long_text truncate, head_tail or hierarchical."
    errors = tuple(
        FieldError(
            "/inputs" if alone else f"/inputs/{index}",
            _RULE,
            f"has {encoded.tokens[index]} tokens; this version reads {limit} and cuts nothing off",
            remedy=remedy,
        )
        for index in long[:_MOST_NAMED]
    )
    more = f" ({len(long) - 1} more in errors)" if len(long) > 1 else ""
    raise Unprocessable(f"{errors[0].pointer} {errors[0].detail}.{more}", code=_RULE, remedy=remedy, errors=errors)
