"""Sortable public identifiers: a prefix that names the resource and a UUIDv7 (RFC 9562) in hex."""

import re
import secrets
import time
from typing import Literal

Prefix = Literal["job", "ds", "ver", "evt", "pred", "key", "ckpt", "req", "wrk", "imp", "bat"]

ID_PATTERN = r"^[a-z]{2,4}_[0-9a-f]{32}$"
_ID = re.compile(ID_PATTERN)


def new_id(prefix: Prefix) -> str:
    """Make an id such as ``job_0193f0c2...``: 48 bits of Unix milliseconds, then 74 random bits."""
    millis = time.time_ns() // 1_000_000
    chance = secrets.randbits(74)
    value = (millis & (2**48 - 1)) << 80 | 0x7 << 76 | (chance >> 62) << 64 | 0b10 << 62 | chance & (2**62 - 1)
    return f"{prefix}_{value:032x}"


def is_id(text: str, prefix: Prefix) -> bool:
    """Say whether ``text`` is a well-formed id of that resource, without asking whether it exists."""
    return text.startswith(f"{prefix}_") and _ID.match(text) is not None
