"""Divides rows into train, validation and test: stratified, equal texts together, a pure function of data and seed."""

import numpy as np
import numpy.typing as npt

from app.errors import DatasetRefused, FieldError
from app.preflight.rows import NO_SPLIT, SPLITS, Examples
from app.schemas.datasets import SplitPolicy

TRAIN, VALIDATION, TEST = range(len(SPLITS))


def assign(examples: Examples, class_of: npt.NDArray[np.int32], policy: SplitPolicy) -> npt.NDArray[np.int8]:
    """Give each row its split: what the file says, and what it leaves open is taken from its training rows.

    Rows are ordered by the hash of their text and the seed, so the order of the file does not matter and equal texts
    of a class stay together. Every class keeps a training row.
    """
    split = np.where(examples.split == NO_SPLIT, TRAIN, examples.split).astype(np.int8)
    if not (split == TRAIN).any():
        raise DatasetRefused(
            "The file has no training rows.",
            code="too-few-examples",
            remedy="Mark some rows as train, or leave the split column out.",
            errors=(FieldError("/split_column", "no-training-rows", "must mark some rows as train"),),
        )
    validation = 0.0 if (split == VALIDATION).any() else policy.validation_fraction
    test = 0.0 if (split == TEST).any() else policy.test_fraction
    if validation or test:
        for label in range(int(class_of.max()) + 1):
            rows = np.flatnonzero((class_of == label) & (split == TRAIN))
            _divide(rows, examples.digest[rows], split, validation, test)
    return split


def _divide(
    rows: npt.NDArray[np.int64],
    digest: npt.NDArray[np.uint64],
    split: npt.NDArray[np.int8],
    validation: float,
    test: float,
) -> None:
    """Move whole groups of equal texts of one class out of train, up to the wanted shares."""
    _, group_of, sizes = np.unique(digest, return_inverse=True, return_counts=True)
    groups, total = len(sizes), int(sizes.sum())
    ends = np.cumsum(sizes)
    want_test = max(1, round(total * test)) if test and groups >= 4 else 0
    want_validation = max(1, round(total * validation)) if validation and groups >= 2 else 0
    last_test = _groups_for(ends, want_test, groups - 1 - bool(want_validation))
    taken = int(ends[last_test - 1]) if last_test else 0
    last_validation = _groups_for(ends, taken + want_validation, groups - 1) if want_validation else last_test
    split[rows[group_of < last_validation]] = VALIDATION
    split[rows[group_of < last_test]] = TEST


def _groups_for(ends: npt.NDArray[np.int64], wanted: int, most: int) -> int:
    """Count the groups whose rows come nearest to ``wanted``, at least one where any are wanted, at most ``most``."""
    if wanted <= 0:
        return 0
    index = int(np.argmin(np.abs(ends - wanted)))
    return max(1, min(index + 1, most))
