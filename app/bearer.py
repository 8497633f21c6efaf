"""What a named API key looks like: made at random, shown in part, kept as a hash, taken out of texts."""

import hashlib
import re
import secrets
import string

PREFIX = "ts_"
"""What every named key begins with, so that people and scanners of secrets know one when they see it."""
PATTERN = rf"{PREFIX}[0-9A-Za-z]{{38}}"
_LETTERS = string.ascii_letters + string.digits
_RANDOM = 38
"""226 bits, and no character that a double click does not mark or a shell would read."""
_SHOWN = len(PREFIX) + 6
_KEY = re.compile(PATTERN)
_INSIDE = re.compile(rf"(?<![0-9A-Za-z]){PATTERN}(?![0-9A-Za-z])")


def new_key() -> str:
    """Make a key."""
    return PREFIX + "".join(secrets.choice(_LETTERS) for _ in range(_RANDOM))


def is_key(text: str) -> bool:
    """Say whether a text has the form of a named key."""
    return _KEY.fullmatch(text) is not None


def beginning(key: str) -> str:
    """Give the part of a key by which people tell one from another; it is no secret."""
    return key[:_SHOWN]


def digest(key: str) -> str:
    """Hash a key, in hex; a plain hash is enough, as nobody can try out 226 random bits."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def hidden(text: str) -> str:
    """Take named keys out of a text."""
    return _INSIDE.sub(f"{PREFIX}[hidden]", text) if PREFIX in text else text
