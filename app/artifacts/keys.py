"""Artifact keys: POSIX paths that the server makes itself and trusts no more than any other text."""

import re

from app.errors import InternalError

# An allow-list: no absolute path, no "..", no empty part, no backslash, no control character, no hidden file.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LONGEST = 512

ISSUES = "issues.json"
"""What the model of an attempt shows about its data, beside the bundle: it quotes texts, so no version carries it."""


def split_key(key: str) -> list[str]:
    """Split a key into its parts.

    Raises InternalError ``unsafe-artifact-key`` for anything that might name a place outside the store.
    """
    parts = key.split("/")
    if len(key) > _LONGEST or not all(_PART.fullmatch(part) for part in parts):
        raise InternalError(
            detail="An artifact key is not a plain relative path.",
            code="unsafe-artifact-key",
            remedy="Keys are made by the service from ids. If the artifact store was edited by hand, restore it.",
        )
    return parts


def of_attempt(job_id: str, attempt: int, name: str) -> str:
    """Give the key of something that an attempt leaves behind besides its bundle."""
    return f"jobs/{job_id}/{attempt}/{name}"
