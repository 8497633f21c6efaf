"""Gets the answers of versions out of the artifact store, and tells when two versions cannot be compared by them."""

import hashlib
from dataclasses import dataclass

from app.artifacts.bundle import Manifest
from app.artifacts.store import ArtifactStore
from app.errors import AppError, NotFound, Unavailable
from app.significance.answers import Answers, load
from app.significance.judging import Pair, pair

FEWEST_COMMON = 50
"""Rows that two versions must share to be compared, unless they were judged on the very same ones."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored of one version."""

    number: int
    prefix: str
    manifest: Manifest


class Incomparable(Exception):
    """Says in words why two versions cannot be compared row by row."""


def read(artifacts: ArtifactStore, kept: Kept) -> Answers | None:
    """Read the answers of a version and check their hash; None for one that keeps none.

    Raises Unavailable ``damaged-bundle`` when the file is missing or is not what was published.
    """
    ref = kept.manifest.answers
    if ref is None:
        return None
    try:
        content = b"".join(artifacts.read(f"{kept.prefix}/{ref.file}"))
    except NotFound as error:
        raise _damaged(kept.number) from error
    if hashlib.sha256(content).hexdigest() != kept.manifest.files[ref.file].sha256:
        raise _damaged(kept.number)
    return load(content)


def paired(artifacts: ArtifactStore, first: Kept, second: Kept) -> Pair:
    """Find the rows that two versions have both answered; raises Incomparable when they are too few, Unavailable."""
    one, other = _answers(artifacts, first), _answers(artifacts, second)
    found = pair(one, other)
    if one.several != other.several:
        raise Incomparable("one gives each text one label, the other any number of them")
    if (not found.complete and (len(found) < FEWEST_COMMON or 2 * len(found) < found.rows_of_first)) or not len(found):
        raise Incomparable(
            f"of the {found.rows_of_first} rows that version {first.number} was judged on, version {second.number} was "
            f"judged on {len(found)} too"
        )
    return found


def _answers(artifacts: ArtifactStore, kept: Kept) -> Answers:
    answers = read(artifacts, kept)
    if answers is None:
        raise Incomparable(f"version {kept.number} keeps no answers to test rows")
    return answers


def _damaged(number: int) -> AppError:
    return Unavailable(
        f"The answers of version {number} are missing from the artifact store, or are not those that were published.",
        "damaged-bundle",
        "Restore the artifact store from a backup, or train the version again.",
    )
