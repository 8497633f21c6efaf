"""Rows with any number of labels each: counted by label, divided by their rarest one."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from app.preflight.rows import Examples

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class LabelSets:
    """Which classes each row has, as pairs of row and class, by row; a row with one label is one pair."""

    row_of: npt.NDArray[np.int64]  # (pairs,)
    class_of: Ints  # (pairs,)
    rows: int
    several: bool
    """False: every row has exactly one label."""

    @classmethod
    def of(cls, examples: Examples, class_of_key: Ints) -> "LabelSets":
        """Name the classes of the examples; two values of one name are one label."""
        class_of = class_of_key[examples.key_of]
        if examples.labels_per_row is None:
            return cls(np.arange(len(examples)), class_of, len(examples), several=False)
        row_of = np.repeat(np.arange(len(examples)), examples.labels_per_row)
        pairs = np.unique(np.stack([row_of, class_of]), axis=1)
        return cls(pairs[0], pairs[1].astype(np.int32), len(examples), several=True)

    def counts(self, classes: int, chosen: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.int64]:
        """Count the rows of each class, of all rows or of the ``chosen`` ones."""
        pairs = self.class_of if chosen is None else self.class_of[chosen[self.row_of]]
        return np.bincount(pairs, minlength=classes).astype(np.int64)

    def strata(self) -> Ints:
        """Give each row the class to divide it by: its rarest, since the common ones come out even by themselves.

        Rows without a label are a class of their own.
        """
        if not self.several:
            return self.class_of
        classes = int(self.class_of.max(initial=-1)) + 1
        frequency = self.counts(classes)
        strata = np.full(self.rows, classes, dtype=np.int32)
        common_first = np.argsort(-frequency[self.class_of], kind="stable")
        strata[self.row_of[common_first]] = self.class_of[common_first]  # the last one written stays
        return strata

    def answers(self) -> Ints:
        """Number the different sets of labels, and give each row the number of its set."""
        if not self.several:
            return self.class_of
        numbers: dict[tuple[int, ...], int] = {}
        return np.array([numbers.setdefault(tuple(one), len(numbers)) for one in self.as_lists()], dtype=np.int32)

    def as_lists(self) -> list[list[int]]:
        """Give the classes of each row, in class order."""
        ends = np.searchsorted(self.row_of, np.arange(self.rows + 1))
        flat = self.class_of.tolist()
        return [flat[start:end] for start, end in pairwise(ends)]
