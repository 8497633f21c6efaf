"""Every format gives the same rows; what cannot be read is refused with the lines that are wrong."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import DatasetRefused
from app.preflight.tables.delimited import read_delimited
from app.preflight.tables.json_rows import load_json, read_json_lines, table_of
from app.preflight.tables.parquet import read_parquet
from app.preflight.tables.table import Table

WANTED = ["text", "label", "split"]


def save(folder: Path, content: str | bytes) -> Path:
    path = folder / "upload"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def csv_table(folder: Path, content: str, longest: int = 1000) -> Table:
    return read_delimited(save(folder, content), None, longest)


def csv_refusal(folder: Path, content: str, longest: int = 1000) -> DatasetRefused:
    with pytest.raises(DatasetRefused) as caught:
        list(csv_table(folder, content, longest).rows)
    return caught.value


@pytest.mark.parametrize(
    "content",
    [
        "text,label\na,x\nb,y\n",
        "\ufefftext,label\r\na,x\r\nb,y",
        'text,label\n"a","x"\n\nb,y\n',
        "text;label\na;x\nb;y\n",
        " text , label\na,x\nb,y\n",
    ],
)
def test_csv_dialects(tmp_path: Path, content: str) -> None:
    table = csv_table(tmp_path, content)
    assert table.columns == ["text", "label"]
    assert [dict(row) for _, row in table.rows] == [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]


def test_csv_counts_lines_through_quoted_line_breaks(tmp_path: Path) -> None:
    table = csv_table(tmp_path, 'text,label\n"a\nb",x\nc,y\n')
    assert [line for line, _ in table.rows] == [2, 4]


def test_tsv(tmp_path: Path) -> None:
    table = read_delimited(save(tmp_path, "text\tlabel\na, b\tx\n"), "\t", 100)
    assert [row["text"] for _, row in table.rows] == ["a, b"]


def test_formulas_are_text(tmp_path: Path) -> None:
    table = csv_table(tmp_path, "text,label\n=cmd|' /C calc'!A0,x\n")
    assert [row["text"] for _, row in table.rows] == ["=cmd|' /C calc'!A0"]


@pytest.mark.parametrize(
    ("content", "rule", "pointer"),
    [
        ("text,label\na,x\nb\n", "ragged-row", "/lines/3"),
        ("text,label\na,b,x\n", "ragged-row", "/lines/2"),
        ('text,label\n"a"b,x\n', "broken-quoting", "/lines/2"),
        ('text,label\na,x\n"b,y\n', "unclosed-quote", "/lines/3"),
        ("text,label\na\0,x\n", "nul-character", "/lines/2"),
        ("text,text\na,x\n", "duplicate-column", "/lines/1"),
    ],
)
def test_malformed_csv(tmp_path: Path, content: str, rule: str, pointer: str) -> None:
    problem = csv_refusal(tmp_path, content)
    assert problem.code == "malformed-csv"
    assert (problem.errors[0].rule, problem.errors[0].pointer) == (rule, pointer)


def test_the_first_ten_bad_lines_are_listed_and_all_counted(tmp_path: Path) -> None:
    problem = csv_refusal(tmp_path, "text,label\na,x\n" + "secret words\n" * 25)
    assert [error.pointer for error in problem.errors] == [f"/lines/{line}" for line in range(3, 13)]
    assert problem.extra["bad_lines"] == 25
    assert "secret" not in json.dumps(problem.problem())


def test_a_field_over_the_limit_is_a_long_text_not_a_csv_error(tmp_path: Path) -> None:
    problem = csv_refusal(tmp_path, f"text,label\n{'a' * 200_000},x\n", longest=131_072)
    assert problem.code == "text-too-long"


def test_json_lines(tmp_path: Path) -> None:
    table = read_json_lines(save(tmp_path, '\ufeff{"text": "a", "label": 1}\n\n{"text": "b", "label": 0}'))
    assert table.columns == ["text", "label"]
    assert [(line, row["text"]) for line, row in table.rows] == [(1, "a"), (3, "b")]


def test_json_lines_refuses_with_lines(tmp_path: Path) -> None:
    lines = ['{"text": "a"}', '{"text": "a" "b"}', "[1]", '{"text": "\\ud800"}', '{"a": 1, "a": 2}', '{"a": NaN}']
    with pytest.raises(DatasetRefused) as caught:
        list(read_json_lines(save(tmp_path, "\n".join(lines))).rows)
    assert caught.value.code == "malformed-jsonl"
    assert [error.pointer for error in caught.value.errors] == [f"/lines/{line}" for line in (2, 3, 4, 5, 6)]


def test_json_by_split_name(tmp_path: Path) -> None:
    value = load_json(save(tmp_path, '{"train": [{"text": "a"}], "test": [{"text": "b", "split": "validation"}]}'))
    assert [row["split"] for _, row in table_of(value).rows] == ["train", "validation"]


@pytest.mark.parametrize("content", ["3", '"x"', '{"train": {"text": "a"}}', "[1, 2]", '["a"]', '[{"a": 1}, [2]]'])
def test_json_that_is_no_list_of_objects(tmp_path: Path, content: str) -> None:
    with pytest.raises(DatasetRefused) as caught:
        table_of(load_json(save(tmp_path, content)))
    assert caught.value.code == "malformed-json"


def parquet(folder: Path, **columns: pa.Array) -> Path:
    path = folder / "upload"
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_reads_strings_and_integers(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        text=pa.array(["a", "b", None]).dictionary_encode(),
        label=pa.array([1, 0, 1], pa.int8()),
        other=pa.array([[1], [2], [3]]),
    )
    table = read_parquet(path, WANTED)
    assert table.types == {"text": "string", "label": "integer"}
    assert [tuple(row.values()) for _, row in table.rows] == [("a", 1), ("b", 0), (None, 1)]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[[1.5]], [[2.5]]]),
        pa.array([{"x": "a"}, {"x": "b"}]),
        pa.array([b"a", b"b"]),
        pa.array([1, 2], pa.timestamp("s")),
    ],
    ids=["list", "struct", "binary", "timestamp"],
)
def test_parquet_refuses_other_types(tmp_path: Path, column: pa.Array) -> None:
    with pytest.raises(DatasetRefused) as caught:
        read_parquet(parquet(tmp_path, text=column, label=pa.array(["x", "y"])), WANTED)
    assert caught.value.code == "unsupported-column-type"


@pytest.mark.parametrize("cut", [4, 40, 200])
def test_parquet_that_was_cut_off(tmp_path: Path, cut: int) -> None:
    path = parquet(tmp_path, text=pa.array(["a"] * 100), label=pa.array(["x"] * 100))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DatasetRefused) as caught:
        list(read_parquet(path, WANTED).rows)
    assert caught.value.code == "malformed-parquet"
