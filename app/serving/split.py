"""Who is answered by a canary: a share of the calls, the same callers each time they give the same key."""

import hashlib
import random

from app.schemas.traffic import Canary

_WHOLE = 2**64


def falls_to(canary: Canary, model: str, alias: str, key: str | None) -> bool:
    """Say whether a call is the canary's; without a key it is decided by chance.

    A key has its place between 0 and 100 for ever, and the canary has all places below its percentage. So a higher
    percentage only moves keys towards the canary, and a lower one only back.
    """
    return place(model, alias, key) < canary.percent


def place(model: str, alias: str, key: str | None) -> float:
    """Give the place of a key between 0 and 100 among the callers of an alias; a new one each time without a key."""
    if key is None:
        return random.random() * 100  # noqa: S311 - shares calls out, guards nothing
    # Model and alias have no such character, so no two callers are mixed up; and each split is drawn anew.
    text = f"{model}\n{alias}\n{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) / _WHOLE * 100
