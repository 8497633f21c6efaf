"""Rows with several labels: read from lists and delimited cells, counted by label, divided so that all stay even."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import AppError
from app.preflight.messages import ROWS, Accepted, Limits, Order
from app.preflight.parse import parse
from app.schemas.datasets import DatasetOptions

LIMITS = Limits(max_rows=10_000, max_text_chars=10_000, max_labels=100)


def read(folder: Path, content: str | bytes, **options: Any) -> tuple[Accepted, list[dict[str, Any]]]:
    (folder / "upload").write_bytes(content.encode() if isinstance(content, str) else content)
    accepted = parse(folder, Order(options=DatasetOptions(**options), limits=LIMITS))
    return accepted, [json.loads(line) for line in (folder / ROWS).read_text(encoding="utf-8").splitlines()]


def lines(sets: list[Any]) -> str:
    return "".join(json.dumps({"text": f"text {number}", "label": one}) + "\n" for number, one in enumerate(sets))


FEW = [["b", "a"], [], ["a"], ["b"], ["a", "a"], "b"]


def test_lists_make_a_dataset_multi_label(tmp_path: Path) -> None:
    accepted, rows = read(tmp_path, lines(FEW * 10))
    assert accepted.profile.problem_type == "multi_label"
    assert accepted.profile.labels == ["a", "b"]
    assert [row["labels"] for row in rows[:6]] == [["a", "b"], [], ["a"], ["b"], ["a"], ["b"]]
    assert all("label" not in row for row in rows)
    totals = {name: count.total for name, count in accepted.profile.splits.items()}
    assert sum(totals.values()) == 60
    assert sum(count.by_label["a"] for count in accepted.profile.splits.values()) == 30


def test_a_delimiter_parts_the_cells_of_a_file(tmp_path: Path) -> None:
    cells = ["b | a", "", "a", "b|", "1|a", "b"] * 4
    content = "text,label\n" + "".join(f"text {number},{cell}\n" for number, cell in enumerate(cells))
    accepted, rows = read(tmp_path, content, label_delimiter="|")
    assert accepted.profile.labels == ["1", "a", "b"]
    assert [row["labels"] for row in rows[:5]] == [["a", "b"], [], ["a"], ["b"], ["1", "a"]]


def test_names_are_given_to_each_label_and_keep_their_order(tmp_path: Path) -> None:
    accepted, rows = read(tmp_path, lines([[1, 0], [0], [1], []] * 5), label_names=["no", "yes"])
    assert accepted.profile.labels == ["no", "yes"]
    assert rows[0]["labels"] == ["no", "yes"]


def test_parquet_columns_of_lists_are_read(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sets = [["a", "b"], ["b"], [], ["a"]] * 5
    table = pa.table(
        {"text": [f"text {number}" for number in range(20)], "label": pa.array(sets, pa.list_(pa.string()))}
    )
    pq.write_table(table, tmp_path / "table.parquet")
    accepted, rows = read(tmp_path, (tmp_path / "table.parquet").read_bytes())
    assert accepted.profile.problem_type == "multi_label"
    assert [row["labels"] for row in rows[:4]] == sets[:4]


def test_every_split_has_its_share_of_every_label(tmp_path: Path) -> None:
    """Two common labels, a rare one, and many rows whose set is unlike any other's."""
    random = np.random.default_rng(3)
    shares = {"x": 0.5, "y": 0.3, "rare": 0.03}
    sets = [[label for label, share in shares.items() if random.random() < share] for _ in range(2000)]
    accepted, _ = read(tmp_path, lines(sets))
    splits = accepted.profile.splits
    for label, tolerance in (("x", 0.02), ("y", 0.02), ("rare", 0.03)):
        whole = sum(count.by_label[label] for count in splits.values())
        assert abs(splits["validation"].by_label[label] / whole - 0.1) < tolerance
        assert abs(splits["test"].by_label[label] / whole - 0.1) < tolerance
    assert splits["validation"].total == pytest.approx(200, abs=5)


def test_the_baseline_is_the_commonest_set(tmp_path: Path) -> None:
    accepted, _ = read(tmp_path, lines([["a", "b"]] * 60 + [["a"]] * 20 + [["b"]] * 20))
    assert accepted.profile.majority_baseline == pytest.approx(0.6, abs=0.15)


@pytest.mark.parametrize(
    ("sets", "rule"),
    [
        ([["a", None], ["b"]], "missing-label"),
        ([["a", 1.5], ["b"]], "float-label"),
        ([["a", ["b"]], ["b"]], "label-type"),
    ],
)
def test_bad_members_are_refused(tmp_path: Path, sets: list[Any], rule: str) -> None:
    with pytest.raises(AppError) as caught:
        read(tmp_path, lines(sets))
    assert caught.value.errors[0].rule == rule


def test_a_label_without_training_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppError) as caught:
        read(tmp_path, lines([["a"], ["b"], ["b"], ["a"], [], ["c", "a"]]))
    assert caught.value.code == "too-few-examples"
