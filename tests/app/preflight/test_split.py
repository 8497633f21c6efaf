"""The split: stratified, repeatable, blind to the order of the file, and no text on both sides."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import DatasetRefused
from app.preflight.rows import NO_SPLIT, Examples
from app.preflight.split import TEST, TRAIN, VALIDATION, assign
from app.schemas.datasets import SplitPolicy

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**64 - 1)), min_size=1, max_size=200)


def examples(digests: list[int], splits: list[int] | None = None) -> Examples:
    return Examples(
        texts=Path("unused"),
        keys=[],
        key_of=np.zeros(len(digests), np.int32),
        split=np.asarray(splits or [NO_SPLIT] * len(digests), np.int8),
        chars=np.ones(len(digests), np.int64),
        digest=np.asarray(digests, np.uint64),
    )


def dense(labels: list[int]) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1].astype(np.int32)


@given(rows, st.floats(0, 0.5), st.floats(0, 0.5))
@settings(max_examples=200)
def test_every_label_keeps_a_training_row_and_no_text_is_on_both_sides(
    table: list[tuple[int, int]], validation: float, test: float
) -> None:
    labels, digests = dense([label for label, _ in table]), [digest for _, digest in table]
    split = assign(examples(digests), labels, SplitPolicy(validation_fraction=validation, test_fraction=test))
    assert set(labels[split == TRAIN]) == set(labels)
    sides = {}
    for label, digest, side in zip(labels, digests, split, strict=True):
        assert sides.setdefault((label, digest), side) == side
    if not validation:
        assert not (split == VALIDATION).any()
    if not test:
        assert not (split == TEST).any()


@given(rows)
def test_the_order_of_the_file_does_not_matter(table: list[tuple[int, int]]) -> None:
    labels, digests = dense([label for label, _ in table]), np.asarray([digest for _, digest in table], np.uint64)
    order = np.random.default_rng(0).permutation(len(table))
    split = assign(examples(digests.tolist()), labels, SplitPolicy())
    shuffled = assign(examples(digests[order].tolist()), labels[order], SplitPolicy())
    assert (split[order] == shuffled).all()


@pytest.mark.parametrize(
    ("count", "expected"),
    [(2, (1, 1, 0)), (3, (2, 1, 0)), (4, (2, 1, 1)), (10, (8, 1, 1)), (100, (80, 10, 10)), (1000, (800, 100, 100))],
)
def test_shares_of_one_label(count: int, expected: tuple[int, int, int]) -> None:
    labels = np.zeros(count, np.int32)
    split = assign(examples(list(range(count))), labels, SplitPolicy())
    assert tuple(int((split == side).sum()) for side in (TRAIN, VALIDATION, TEST)) == expected


def test_what_the_file_says_is_kept_and_only_the_rest_is_taken_from_train() -> None:
    given_splits = [VALIDATION] * 5 + [TRAIN] * 95
    split = assign(examples(list(range(100)), given_splits), np.zeros(100, np.int32), SplitPolicy())
    assert (split[:5] == VALIDATION).all()
    assert (split == VALIDATION).sum() == 5
    assert 8 <= (split == TEST).sum() <= 11


def test_a_file_without_training_rows_is_refused() -> None:
    with pytest.raises(DatasetRefused) as caught:
        assign(examples([1, 2], [TEST, VALIDATION]), np.asarray([0, 1], np.int32), SplitPolicy())
    assert caught.value.code == "too-few-examples"
