"""A whole file through the parser, in this process: what is stored, and every refusal with its code."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.errors import AppError, PayloadTooLarge
from app.preflight.messages import UPLOAD, Accepted, Limits, Order
from app.preflight.parse import parse
from app.schemas.datasets import DatasetOptions

LIMITS = Limits(max_rows=1000, max_text_chars=500, max_labels=20)


def run(folder: Path, content: str | bytes, **options: Any) -> Accepted:
    (folder / UPLOAD).write_bytes(content if isinstance(content, bytes) else content.encode())
    return parse(folder, Order(options=DatasetOptions(**options), limits=LIMITS))


def refusal(folder: Path, content: str | bytes, **options: Any) -> AppError:
    with pytest.raises(AppError) as caught:
        run(folder, content, **options)
    return caught.value


def stored(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().split("\n")[:-1]]


def csv(*labels: str, header: str = "text,label") -> str:
    return f"{header}\n" + "".join(f"row {number},{label}\n" for number, label in enumerate(labels))


def test_the_canonical_rows(tmp_path: Path) -> None:
    accepted = run(tmp_path, csv("b", "a", "b", "a"), name="mine")
    content = (tmp_path / "rows.jsonl").read_bytes()
    assert content.startswith(b'{"text":"row 0","label":"b","split":"')
    assert accepted.sha256 == hashlib.sha256(content).hexdigest()
    assert accepted.bytes == len(content)
    assert accepted.profile.labels == ["a", "b"]
    assert (accepted.name, accepted.format) == ("mine", "csv")
    assert not (tmp_path / "texts").exists()


def test_equal_data_has_an_equal_hash_whatever_the_format(tmp_path: Path) -> None:
    rows = [{"text": f"row {number}", "label": "ab"[number % 2], "id": number} for number in range(30)]
    as_csv = "id,label,text\n" + "".join(f"{row['id']},{row['label']},{row['text']}\n" for row in rows)
    contents = [as_csv, json.dumps(rows), "\n".join(json.dumps(row) for row in rows)]
    assert len({run(tmp_path, content).sha256 for content in contents}) == 1


def test_the_seed_moves_the_split_and_nothing_else(tmp_path: Path) -> None:
    content = csv(*"ab" * 50)
    one, again = run(tmp_path, content), run(tmp_path, content)
    other = run(tmp_path, content, split={"seed": 7})
    assert one == again
    assert one.sha256 != other.sha256
    assert one.profile.splits == other.profile.splits


@given(st.lists(st.text(min_size=1).filter(lambda text: text.strip() and "\0" not in text), min_size=4, unique=True))
def test_any_text_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("parse")
    texts = [text for text in texts if text.isascii() or not any(0xD800 <= ord(char) < 0xE000 for char in text)]
    rows = [{"text": text, "label": "ab"[number % 2]} for number, text in enumerate(texts)]
    content = "\n".join(json.dumps(row) for row in rows)
    run(folder, content)
    assert [row["text"] for row in stored(folder)] == texts


def test_integers_are_named_in_numeric_order(tmp_path: Path) -> None:
    content = csv(*["10", "9", "-1"] * 2)
    assert run(tmp_path, content).profile.labels == ["-1", "9", "10"]


def test_label_names_as_a_list_name_and_order(tmp_path: Path) -> None:
    accepted = run(tmp_path, csv(*"2010" * 2, "2", "1"), label_names=["negative", "positive", "neutral"])
    assert accepted.profile.labels == ["negative", "positive", "neutral"]
    assert stored(tmp_path)[0]["label"] == "neutral"


def test_label_names_as_a_list_only_order_words(tmp_path: Path) -> None:
    accepted = run(tmp_path, csv(*["lo", "hi", "mid"] * 2), label_names=["lo", "mid", "hi"])
    assert accepted.profile.labels == ["lo", "mid", "hi"]


def test_label_names_as_a_mapping_may_merge(tmp_path: Path) -> None:
    accepted = run(
        tmp_path, csv(*"12345" * 2), label_names={"1": "bad", "2": "bad", "3": "fair", "4": "good", "5": "good"}
    )
    assert accepted.profile.labels == ["bad", "fair", "good"]


def test_a_declared_label_without_rows_is_left_out_and_told(tmp_path: Path) -> None:
    accepted = run(tmp_path, csv(*"02" * 3), label_names=["negative", "positive", "neutral"])
    assert accepted.profile.labels == ["negative", "neutral"]
    assert "unused-label-names" in [warning.code for warning in accepted.profile.warnings]


def test_labels_are_trimmed(tmp_path: Path) -> None:
    assert run(tmp_path, "text;label\na; x\nb;x \nc;y\nd;y\n").profile.labels == ["x", "y"]


def test_splits_of_the_file(tmp_path: Path) -> None:
    lines = "".join(f"row {n},{'ab'[n % 2]},{['train', 'dev', 'Test'][n // 2 % 3]}\n" for n in range(24))
    profile = run(tmp_path, f"text,label,split\n{lines}").profile
    assert {name: count.total for name, count in profile.splits.items()} == {"train": 8, "validation": 8, "test": 8}


def test_rows_in_a_body_bring_their_options(tmp_path: Path) -> None:
    rows = [{"message": f"row {number}", "label": number % 2} for number in range(8)]
    accepted = run(tmp_path, json.dumps({"rows": rows, "text_column": "message", "name": "x"}), label_column="label")
    assert (accepted.format, accepted.name, accepted.profile.labels) == ("rows", "x", ["0", "1"])


REFUSED: dict[str, tuple[str | bytes, dict[str, Any], str, str | None]] = {
    "unknown column": ("text,lable\na,b\n", {}, "unknown-column", "unknown-column"),
    "no header": ("I love this film,1\nI hate it,0\n", {}, "malformed-csv", "no-header"),
    "header only": ("text,label\n", {}, "malformed-csv", None),
    "no rows": ("[]", {}, "empty-dataset", None),
    "one class": (csv("a", "a"), {}, "invalid-labels", "one-class"),
    "a class of one row": (csv("a", "a", "b"), {}, "too-few-examples", "single-example"),
    "a class without training rows": (
        "text,label,split\n1,a,train\n2,a,train\n3,b,test\n4,b,test\n",
        {},
        "too-few-examples",
        "no-training-rows",
    ),
    "undeclared label": (csv(*"01201"), {"label_names": ["no", "yes"]}, "invalid-labels", "undeclared-label"),
    "undeclared word": (csv(*"abcab"), {"label_names": {"a": "x", "b": "y"}}, "invalid-labels", "undeclared-label"),
    "too many labels": (csv(*(f"l{n}" for n in range(50))), {}, "invalid-labels", "too-many-labels"),
    "scores as labels": (csv("0.5", "1.0", "0.5", "1.0"), {}, "invalid-labels", "float-label"),
    "boolean labels": ('[{"text":"a","label":true},{"text":"b","label":false}]', {}, "invalid-labels", "boolean-label"),
    "float labels": ('[{"text":"a","label":1.0},{"text":"b","label":0.0}]', {}, "invalid-labels", "float-label"),
    "missing labels": ('[{"text":"a","label":null},{"text":"b"}]', {}, "invalid-labels", "missing-label"),
    "list as label": ('[{"text":"a","label":[["x"]]}]', {}, "invalid-labels", "label-type"),
    "long label": (csv("a" * 300, "b"), {}, "invalid-labels", "label-too-long"),
    "empty text": ("text,label\n ,a\nb,b\n", {}, "empty-text", "empty-text"),
    "text is a number": ('[{"text":3,"label":"a"}]', {}, "invalid-text", "text-type"),
    "long text": ('[{"text":"' + "x" * 501 + '","label":"a"}]', {}, "text-too-long", "text-too-long"),
    "all texts equal": ("text,label\na,x\na,y\na,x\na,y\n", {}, "too-few-examples", "one-text"),
    "unknown split": ("text,label,split\na,x,hold-out\n", {}, "invalid-split", "invalid-split"),
    "same column twice": (csv("a", "b"), {"label_column": "text"}, "invalid-value", "cross-field"),
    "unknown field in a body": ('{"rows": [], "nme": "x"}', {}, "unknown-field", "unknown-field"),
    "unknown field in a row": ('{"rows": [{"text": "a", "lable": "x"}]}', {}, "unknown-field", "unknown-field"),
    "no rows in a body": ('{"name": "x"}', {"format": "json"}, "missing-field", "missing-field"),
    "latin-1": ("text,label\ncafé,a\n".encode("latin-1"), {}, "invalid-encoding", None),
}


@pytest.mark.parametrize(("content", "options", "code", "rule"), REFUSED.values(), ids=REFUSED)
def test_refusals(tmp_path: Path, content: str | bytes, options: dict[str, Any], code: str, rule: str | None) -> None:
    problem = refusal(tmp_path, content, **options)
    assert (problem.status, problem.code) == (422, code)
    assert problem.remedy
    if rule is not None:
        assert problem.errors[0].rule == rule
    assert not (tmp_path / "rows.jsonl").exists()


def test_an_unknown_column_is_answered_with_the_columns_there_are(tmp_path: Path) -> None:
    problem = refusal(tmp_path, "id,Tweet,sentiment\n1,a,b\n", text_column="tweet", label_column="sentimet")
    assert problem.extra["columns"] == ["id", "Tweet", "sentiment"]
    assert problem.remedy == "Did you mean text_column=Tweet? Did you mean label_column=sentiment?"


def test_broken_rows_are_counted_and_located_without_their_text(tmp_path: Path) -> None:
    lines = ["text,label", *("canary words,a" for _ in range(3)), *(",b" for _ in range(12)), "canary,"]
    problem = refusal(tmp_path, "\n".join(lines))
    assert problem.detail == "12 rows have no text (lines 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, ...)."
    assert problem.extra["counts"] == {"empty-text": 12, "missing-label": 1}
    assert "canary" not in json.dumps(problem.problem())


def test_too_many_rows_are_too_large(tmp_path: Path) -> None:
    problem = refusal(tmp_path, csv(*"ab" * 501))
    assert isinstance(problem, PayloadTooLarge)
    assert problem.code == "dataset-too-large"


def test_the_profile_warns(tmp_path: Path) -> None:
    lines = [f"row {n},{'b' if n < 6 else 'a'},train" for n in range(106)]
    lines += ["row 50,a,validation", "row 51,b,validation", "row 50,a,train"]
    profile = run(tmp_path, "text,label,split\n" + "\n".join(lines), split={"test_fraction": 0}).profile
    codes = [warning.code for warning in profile.warnings]
    assert codes == ["few-examples", "imbalanced", "duplicate-texts", "leaking-texts", "conflicting-labels"]
    assert profile.duplicates == 3
    assert profile.majority_baseline == 0.5
    assert (profile.text_lengths.p50, profile.text_lengths.max) == (6, 7)


@pytest.mark.parametrize("numbers", [["1", "2.5", "-3", "0"], [1, 2.5, -3, 0]])
def test_difficulties_are_kept_with_their_rows(tmp_path: Path, numbers: list[Any]) -> None:
    rows = [{"text": f"row {i}", "label": "ab"[i % 2], "hard": number} for i, number in enumerate(numbers)]
    accepted = run(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), difficulty_column="hard")
    assert accepted.profile.has_difficulties
    assert [(row["text"], row["difficulty"]) for row in stored(tmp_path)] == [
        ("row 0", 1.0), ("row 1", 2.5), ("row 2", -3.0), ("row 3", 0.0)
    ]  # fmt: skip


def test_without_the_option_a_column_of_that_name_is_not_kept(tmp_path: Path) -> None:
    accepted = run(tmp_path, "text,label,difficulty\na,x,1\nb,y,hard\nc,x,2\nd,y,3\n")
    assert not accepted.profile.has_difficulties
    assert all("difficulty" not in row for row in stored(tmp_path))


@pytest.mark.parametrize("wrong", ["", "hard", "nan", "inf"])
def test_a_row_without_a_number_is_located(tmp_path: Path, wrong: str) -> None:
    error = refusal(tmp_path, f"text,label,hard\na,x,1\nb,y,{wrong}\nc,x,2\nd,y,3\n", difficulty_column="hard")
    assert error.code == "invalid-difficulty"
    assert [found.pointer for found in error.errors] == ["/lines/3/hard"]


def test_an_unknown_difficulty_column_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, csv("a", "b", "a", "b"), difficulty_column="hard").code == "unknown-column"


def test_rows_in_a_body_may_say_how_hard_they_are(tmp_path: Path) -> None:
    rows = [{"text": f"row {i}", "label": "ab"[i % 2], "difficulty": i} for i in range(4)]
    run(tmp_path, json.dumps({"rows": rows, "difficulty_column": "difficulty"}))
    assert [row["difficulty"] for row in stored(tmp_path)] == [0.0, 1.0, 2.0, 3.0]


def test_slices_are_kept_with_their_rows(tmp_path: Path) -> None:
    header = "text,label,source,new\n"
    content = header + "a,x,web,1\nb,y, mail ,0\nc,x,,1\nd,y,web,1\n"
    accepted = run(tmp_path, content, slice_columns=["source", "new"])
    assert accepted.profile.slices == {"source": {"web": 2, "mail": 1}, "new": {"1": 3, "0": 1}}
    assert [row["slices"] for row in stored(tmp_path)] == [
        {"source": "web", "new": "1"}, {"source": "mail", "new": "0"}, {"new": "1"}, {"source": "web", "new": "1"}
    ]  # fmt: skip
    assert stored(tmp_path)[0].keys() == {"text", "label", "slices", "split"}
    rows = [{"text": f"row {i}", "label": "ab"[i % 2], "vip": i > 1} for i in range(4)]
    accepted = run(tmp_path, json.dumps({"rows": rows, "slice_columns": ["vip"]}))
    assert accepted.profile.slices == {"vip": {"false": 2, "true": 2}}


def test_columns_that_make_no_slices_are_refused(tmp_path: Path) -> None:
    many = "text,label,id\n" + "".join(f"row {i},{'ab'[i % 2]},{i}\n" for i in range(60))
    assert refusal(tmp_path, many, slice_columns=["id"]).code == "too-many-slices"
    unknown = refusal(
        tmp_path, csv("a", "b", "a", "b", header="text,source"), label_column="source", slice_columns=["sorce"]
    )
    assert (unknown.code, unknown.errors[0].pointer) == ("unknown-column", "/slice_columns/0")
    assert unknown.remedy == "Did you mean slice_columns=source?"
    long = refusal(tmp_path, f"text,label,note\na,x,ok\nb,y,{'n' * 101}\nc,x,ok\nd,y,ok\n", slice_columns=["note"])
    assert (long.code, long.errors[0].pointer) == ("invalid-slice", "/lines/3/note")
    rows = [{"text": f"row {i}", "label": "ab"[i % 2], "size": i / 2} for i in range(4)]
    assert (
        refusal(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), slice_columns=["size"]).code
        == "invalid-slice"
    )
    for wrong in (["length"], ["source", "source"], ["a=b"], list("abcdef")):
        with pytest.raises(ValidationError):
            DatasetOptions(slice_columns=wrong)
