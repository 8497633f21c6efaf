"""Uploads in three ways, pages of rows, deletion; what is refused leaves nothing behind."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from tests.app.api.problem import problem_of

ROWS = [{"text": f"message {number}", "label": "ab"[number % 2]} for number in range(40)]
CSV = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in ROWS)


def parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), buffer)
    return buffer.getvalue()


WAYS: dict[str, dict[str, Any]] = {
    "form": {"files": {"file": ("data.csv", CSV)}},
    "form with a lying name": {"files": {"file": ("data.parquet", CSV, "application/octet-stream")}},
    "csv": {"content": CSV, "headers": {"Content-Type": "text/csv; charset=utf-8"}},
    "tsv": {"content": CSV.replace(",", "\t"), "headers": {"Content-Type": "text/tab-separated-values"}},
    "json lines": {
        "content": "\n".join(map(json.dumps, ROWS)),
        "headers": {"Content-Type": "application/x-ndjson"},
    },
    "json list": {"json": ROWS},
    "rows": {"json": {"rows": ROWS}},
    "parquet": {"content": parquet(), "headers": {"Content-Type": "application/vnd.apache.parquet"}},
    "bytes": {"content": parquet(), "headers": {"Content-Type": "application/octet-stream"}},
}


@pytest.fixture
def nothing_is_left(client: TestClient, data_dir: Path):
    """Check afterwards that nothing was stored and nothing lies about."""
    yield
    assert client.get("/datasets").json()["data"] == []
    assert [path for path in data_dir.rglob("*") if path.is_file() and "artifacts" in path.parts] == []
    assert list((data_dir / "uploads").glob("*")) == []


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_in_gives_the_same_dataset(client: TestClient, data_dir: Path, way: dict[str, Any]) -> None:
    answer = client.post("/datasets", **way)
    assert answer.status_code == 201, answer.text
    dataset = answer.json()
    assert answer.headers["location"] == f"/datasets/{dataset['id']}"
    assert dataset["labels"] == ["a", "b"]
    assert dataset["counts"] == {"train": 32, "validation": 4, "test": 4}
    assert len(dataset["sha256"]) == 64
    assert client.get(f"/datasets/{dataset['id']}").json() == dataset
    stored = data_dir / "artifacts" / "datasets" / dataset["id"] / "rows.jsonl"
    assert stored.stat().st_size == dataset["bytes"]
    assert list((data_dir / "uploads").glob("*")) == []


def test_options_in_the_query_and_in_the_form_mean_the_same(client: TestClient) -> None:
    content = CSV.replace("text,label", "message,mood").replace(",a", ",0").replace(",b", ",1")
    options = {
        "name": "mine",
        "text_column": "message",
        "label_column": "mood",
        "label_names": "bad,good",
        "validation_fraction": "0.2",
        "test_fraction": "0",
        "seed": "7",
    }
    raw = client.post("/datasets", content=content, headers={"Content-Type": "text/csv"}, params=options).json()
    form = client.post("/datasets", files={"file": content}, data=options).json()
    assert raw["counts"] == {"train": 32, "validation": 8, "test": 0}
    assert raw["labels"] == ["bad", "good"]
    for key in ("sha256", "name", "labels", "profile"):
        assert raw[key] == form[key]


def test_the_rows_come_back_page_by_page(client: TestClient, dataset_id: str) -> None:
    seen, cursor = [], None
    while True:
        page = client.get(f"/datasets/{dataset_id}/rows", params={"limit": 15} | ({"cursor": cursor} if cursor else {}))
        seen += page.json()["data"]
        cursor = page.json()["next_cursor"]
        assert page.json()["has_more"] == (cursor is not None)
        if cursor is None:
            break
    assert [(row["text"], row["label"]) for row in seen] == [(row["text"], row["label"]) for row in ROWS]


def test_the_rows_can_be_filtered(client: TestClient, dataset_id: str) -> None:
    rows = client.get(f"/datasets/{dataset_id}/rows", params={"split": "validation", "label": "b"}).json()["data"]
    assert [(row["split"], row["label"]) for row in rows] == [("validation", "b")] * 2


@pytest.mark.parametrize("cursor", ["x", "MQ", "LTU", "OTk5OTk5", "eyJhIjoxfQ", "é"])
def test_a_made_up_cursor_is_refused(client: TestClient, dataset_id: str, cursor: str) -> None:
    answer = client.get(f"/datasets/{dataset_id}/rows", params={"cursor": cursor})
    assert problem_of(answer) == (422, "invalid-cursor")


def test_the_profile(client: TestClient, dataset_id: str) -> None:
    profile = client.get(f"/datasets/{dataset_id}/profile").json()
    assert profile["splits"]["train"] == {"total": 32, "by_label": {"a": 16, "b": 16}}
    assert profile["majority_baseline"] == 0.5


def test_the_list_is_newest_first(client: TestClient) -> None:
    ids = [client.post("/datasets", json={"rows": ROWS, "name": str(n)}).json()["id"] for n in range(3)]
    page = client.get("/datasets", params={"limit": 2}).json()
    assert [item["id"] for item in page["data"]] == [ids[2], ids[1]]
    rest = client.get("/datasets", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [item["id"] for item in rest["data"]] == [ids[0]]
    assert rest["has_more"] is False


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no content type": ({"content": CSV}, 415, "unsupported-media-type"),
    "urlencoded, as curl does unasked": (
        {"content": CSV, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        415,
        "unsupported-media-type",
    ),
    "empty body": ({"content": b"", "headers": {"Content-Type": "text/csv"}}, 422, "invalid-body"),
    "unknown column": ({"files": {"file": CSV}, "data": {"text_column": "txt"}}, 422, "unknown-column"),
    "unknown form field": ({"files": {"file": CSV}, "data": {"text_colum": "txt"}}, 422, "unknown-field"),
    "unknown parameter": ({"files": {"file": CSV}, "params": {"text_colum": "txt"}}, 422, "unknown-parameter"),
    "fraction too large": ({"files": {"file": CSV}, "data": {"test_fraction": "0.9"}}, 422, "invalid-value"),
    "fraction is no number": ({"files": {"file": CSV}, "data": {"test_fraction": "some"}}, 422, "invalid-type"),
    "fraction is NaN": ({"files": {"file": CSV}, "data": {"test_fraction": "nan"}}, 422, "invalid-value"),
    "seed is no integer": ({"files": {"file": CSV}, "params": {"seed": "1.5"}}, 422, "invalid-parameter"),
    "label names are no JSON": ({"files": {"file": CSV}, "data": {"label_names": "[a"}}, 422, "invalid-value"),
    "label names of the wrong type": ({"files": {"file": CSV}, "data": {"label_names": "[1]"}}, 422, "invalid-type"),
    "NUL in a name": ({"files": {"file": CSV}, "data": {"name": "a\0b"}}, 422, "invalid-text"),
    "pickle called csv": (
        {"files": {"file": ("data.csv", b"\x80\x04\x95\x00\x00", "text/csv")}},
        422,
        "unsupported-file-type",
    ),
    "gzip": (
        {"content": b"\x1f\x8b\x08\x00", "headers": {"Content-Type": "application/octet-stream"}},
        422,
        "unsupported-file-type",
    ),
    "form without file": ({"files": {"data": CSV}}, 400, "malformed-multipart"),
    "form without boundary": (
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "malformed-multipart",
    ),
    "form cut off": (
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext,label\n',
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
        400,
        "malformed-multipart",
    ),
    "wrong boundary": (
        {"content": b"--c\r\n\r\n\r\n--c--", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        400,
        "malformed-multipart",
    ),
    "two files": ({"files": [("file", CSV), ("file", CSV)]}, 400, "malformed-multipart"),
    "a field twice": (
        {"files": [("file", CSV), ("name", (None, "a")), ("name", (None, "b"))]},
        400,
        "malformed-multipart",
    ),
    "a hundred thousand parts": (
        {
            "content": b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 100_000 + b"--b--",
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
        400,
        "malformed-multipart",
    ),
    "a part with huge headers": (
        {
            "content": b"--b\r\nX: " + b"a" * 10_000_000 + b"\r\n\r\n\r\n--b--",
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
        400,
        "malformed-multipart",
    ),
    "json that is no rows": ({"json": {"name": "x"}}, 422, "missing-field"),
    "malformed json": ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "malformed-json"),
    "one class": (
        {"json": {"rows": [{"text": "a", "label": "x"}, {"text": "b", "label": "x"}]}},
        422,
        "invalid-labels",
    ),
    "bad idempotency key": ({"json": ROWS, "headers": {"Idempotency-Key": "k" * 300}}, 400, "invalid-idempotency-key"),
}


@pytest.mark.parametrize(("way", "status", "code"), REFUSED.values(), ids=REFUSED)
@pytest.mark.usefixtures("nothing_is_left")
def test_refusals(client: TestClient, way: dict[str, Any], status: int, code: str) -> None:
    answer = client.post("/datasets", **way)
    assert problem_of(answer) == (status, code)
    assert answer.json()["remedy"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("way", ["raw", "form"])
def test_a_file_over_the_limit_is_refused_while_it_comes(open_client, data_dir: Path, chunked: bool, way: str) -> None:
    boundary = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    content = (boundary if way == "form" else b"") + b"text,label\n" + b"x" * 3_000_000
    media_type = "multipart/form-data; boundary=b" if way == "form" else "text/csv"
    with open_client(max_dataset_bytes=10_000) as client:
        sent = iter([content[:5000], content[5000:]]) if chunked else content
        answer = client.post("/datasets", content=sent, headers={"Content-Type": media_type})
    assert problem_of(answer) == (413, "dataset-too-large")
    assert list((data_dir / "uploads").glob("*")) == []


def test_the_limits_on_rows_and_texts_come_from_the_settings(open_client) -> None:
    with open_client(max_dataset_rows=39) as client:
        assert problem_of(client.post("/datasets", json=ROWS)) == (413, "dataset-too-large")
    with open_client(max_text_chars=9) as client:
        assert problem_of(client.post("/datasets", json=ROWS)) == (422, "text-too-long")
    with open_client(max_dataset_rows=40, max_text_chars=10) as client:
        assert client.post("/datasets", json=ROWS).status_code == 201


def test_an_unused_dataset_can_be_deleted_with_its_file(client: TestClient, data_dir: Path, dataset_id: str) -> None:
    client.get(f"/datasets/{dataset_id}/rows")
    assert client.delete(f"/datasets/{dataset_id}").status_code == 204
    assert problem_of(client.get(f"/datasets/{dataset_id}")) == (404, "dataset-not-found")
    assert problem_of(client.delete(f"/datasets/{dataset_id}")) == (404, "dataset-not-found")
    assert [path for path in data_dir.rglob("*") if path.is_file() and dataset_id in str(path)] == []


@pytest.mark.usefixtures("job_id")
def test_a_dataset_that_a_job_refers_to_stays(client: TestClient, dataset_id: str) -> None:
    assert problem_of(client.delete(f"/datasets/{dataset_id}")) == (409, "dataset-in-use")
    assert client.get(f"/datasets/{dataset_id}/rows").status_code == 200


@pytest.mark.parametrize("wrong", ["ds_0", "job_" + "0" * 32, "ds_" + "0" * 32, "x" * 1000, "%00"])
def test_every_unknown_id_is_the_same_answer(client: TestClient, wrong: str) -> None:
    for path in (f"/datasets/{wrong}", f"/datasets/{wrong}/profile", f"/datasets/{wrong}/rows"):
        assert problem_of(client.get(path)) == (404, "dataset-not-found")


def test_rows_that_were_damaged_are_never_shown(client: TestClient, data_dir: Path, dataset_id: str) -> None:
    stored = data_dir / "artifacts" / "datasets" / dataset_id / "rows.jsonl"
    stored.write_bytes(stored.read_bytes().replace(b"message 1", b"massage 1"))
    assert problem_of(client.get(f"/datasets/{dataset_id}/rows")) == (500, "damaged-dataset")
    assert problem_of(client.get(f"/datasets/{dataset_id}/rows")) == (500, "damaged-dataset")
    stored.unlink()
    answer = client.get(f"/datasets/{dataset_id}/rows")
    assert problem_of(answer) == (500, "damaged-dataset")
    assert "missing" in answer.json()["detail"] and "rows.jsonl" not in answer.text


def test_a_repeated_upload_is_one_dataset(client: TestClient) -> None:
    first = client.post("/datasets", json=ROWS, headers={"Idempotency-Key": "k1"})
    again = client.post("/datasets", json=ROWS, headers={"Idempotency-Key": "k1"})
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert len(client.get("/datasets").json()["data"]) == 1
    other = client.post("/datasets", json=ROWS, headers={"Idempotency-Key": "k1"}, params={"name": "other"})
    assert problem_of(other) == (422, "idempotency-key-reused")
