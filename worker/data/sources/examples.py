"""What every source gives: rows one by one, and where they came from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.schemas.datasets import SplitName, SplitPolicy
from app.schemas.provenance import Provenance

SPLIT_WORDS: Final[dict[str, SplitName]] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, slots=True)
class Example:
    """One row as the source has it; what is not usable is left out when rows are written."""

    text: object
    label: str | tuple[str, ...] | None
    """Name of the class, or the names of any number of them; None: not labelled."""
    split: SplitName | None
    difficulty: object = None
    slices: Mapping[str, object] = field(default_factory=dict)
    """Values by slice column; others may be among them."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The rows of a source, to be read once."""

    examples: Iterable[Example]
    labels: Sequence[str]
    """Label names in the order of the source; labels that are not among them follow."""
    provenance: Provenance
    policy: SplitPolicy
    """How training rows are divided where there are no validation or test rows."""
    has_difficulties: bool = False
    """Whether rows have a number that says how hard they are; those without one are then left out."""
    slice_columns: Sequence[str] = ()
    """Columns that group the rows."""
