"""Answers as a file, and the rows of two versions found again in each other."""

from pathlib import Path

import numpy as np
import pytest

from app.errors import JobFailure
from app.significance import answers as files
from app.significance.answers import Answers, load, row_keys, save
from app.significance.judging import pair


def make(texts: list[str], truth: list[str], given: list[str], labels: list[str]) -> Answers:
    index = {label: place for place, label in enumerate(labels)}
    return Answers(
        split="test",
        labels=labels,
        several=False,
        keys=row_keys(texts, [[label] for label in truth]),
        truth=np.array([index[label] for label in truth]),
        given=np.array([index[label] for label in given]),
        probabilities=np.full((len(texts), len(labels)), 0.5, np.float16),
    )


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    answers = make(["x", "y"], ["a", "b"], ["b", "b"], ["a", "b"])
    save(answers, tmp_path / files.FILE)
    again = load((tmp_path / files.FILE).read_bytes())
    for name in ("split", "labels", "several"):
        assert getattr(again, name) == getattr(answers, name)
    for name in ("keys", "truth", "given", "probabilities"):
        np.testing.assert_array_equal(getattr(again, name), getattr(answers, name))
    assert again.right.tolist() == [False, True]
    assert again.named(0) == ("a", "b")


def test_sets_of_labels_are_kept_as_bits(tmp_path: Path) -> None:
    marks = np.array([[True, False, True], [False, False, False]])
    names = [["a", "c"], []]
    keys = row_keys(["x", "y"], names)
    save(
        Answers("validation", ["a", "b", "c"], True, keys, marks, ~marks, np.zeros((2, 3), np.float16)),
        tmp_path / "f.npz",
    )
    again = load((tmp_path / "f.npz").read_bytes())
    np.testing.assert_array_equal(again.truth, marks)
    np.testing.assert_array_equal(again.given, ~marks)
    assert (again.split, again.named(0), again.named(1)) == ("validation", ("a, c", "b"), ("none", "a, b, c"))


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 broken"])
def test_a_damaged_file_is_told(content: bytes) -> None:
    with pytest.raises(JobFailure) as caught:
        load(content)
    assert caught.value.code == "damaged-bundle"


def test_a_pickle_in_the_file_is_never_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", labels=np.array([{}], dtype=object))
    with pytest.raises(JobFailure):
        load((tmp_path / "f.npz").read_bytes())


def test_rows_are_found_again_in_another_order_and_with_labels_numbered_otherwise() -> None:
    first = make(["x", "y", "x", "z"], ["a", "b", "a", "a"], ["a", "a", "b", "a"], ["a", "b"])
    second = make(["z", "x", "x", "y"], ["a", "a", "a", "b"], ["b", "a", "a", "b"], ["b", "a"])
    found = pair(first, second)
    assert found.complete
    assert len(found) == 4  # also the text that comes twice
    np.testing.assert_array_equal(found.first.truth, found.second.truth)
    assert [found.second.named(row) for row in range(4)] == [("a", "a"), ("b", "b"), ("a", "a"), ("a", "b")]


def test_a_text_with_another_label_is_another_row() -> None:
    first = make(["x", "y"], ["a", "b"], ["a", "b"], ["a", "b"])
    relabelled = make(["x", "y"], ["a", "a"], ["a", "b"], ["a", "b"])
    found = pair(first, relabelled)
    assert (len(found), found.complete) == (1, False)
    assert len(pair(first, make(["q"], ["a"], ["a"], ["a", "b"]))) == 0


def test_no_text_is_in_the_file(tmp_path: Path) -> None:
    save(make(["a secret text"], ["a"], ["b"], ["a", "b"]), tmp_path / "f.npz")
    with np.load(tmp_path / "f.npz") as arrays:
        assert not any(b"secret" in arrays[name].tobytes() for name in arrays)
