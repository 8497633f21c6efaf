"""The folder store: atomic, durable, closed to keys that lead elsewhere, plain about a full disk."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.artifacts.file import FileStore, copy_atomically, storage_errors
from app.artifacts.keys import split_key
from app.artifacts.store import open_store
from app.errors import AppError, InternalError, StorageFull, Unavailable


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "artifacts")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"content")
    return path


def test_listing_hides_unfinished_copies(store: FileStore, source: Path) -> None:
    for key in ("b/2", "b/1/x", "a", "bb/1"):
        store.put(key, source)
    (store.root / "b" / ".2.abc.part").write_bytes(b"half")
    assert sorted(store.list("")) == ["a", "b/1/x", "b/2", "bb/1"]
    assert sorted(store.list("b")) == ["b/1/x", "b/2"]
    assert list(store.list("c")) == []


def test_deleting_removes_the_resources_own_folder_only(store: FileStore, source: Path) -> None:
    store.put("datasets/ds_1/rows.jsonl", source)
    store.put("models/job_1/1/weights/model", source)
    store.delete("datasets/ds_1/rows.jsonl")
    store.delete("datasets/ds_1/rows.jsonl")
    store.delete("models/job_1/1/weights/model")
    assert sorted(path.name for path in store.root.iterdir()) == ["datasets", "models"]
    assert list(store.root.glob("*/*")) == []


def test_removing_a_folder_removes_unfinished_copies_too(store: FileStore, source: Path) -> None:
    store.put("models/job_1/1/weights/model", source)
    store.put("models/job_1/2/model", source)
    (store.root / "models" / "job_1" / "1" / ".tokenizer.json.abc.part").write_bytes(b"half")
    store.remove("models/job_1/1")
    store.remove("models/job_1/1")
    assert list(store.list("models")) == ["models/job_1/2/model"]
    store.remove("models/job_1/2")
    assert list((store.root / "models").iterdir()) == []


@given(st.text(st.sampled_from("ab./\\-_\0"), max_size=12))
def test_a_key_that_is_taken_stays_inside(key: str) -> None:
    try:
        parts = split_key(key)
    except InternalError:
        return
    assert Path("/store").joinpath(*parts).as_posix() == f"/store/{key}"
    assert ".." not in parts


def test_a_link_that_leads_out_is_not_followed(store: FileStore, source: Path, tmp_path: Path) -> None:
    store.root.mkdir()
    (tmp_path / "outside").mkdir()
    (store.root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(InternalError):
        store.put("link/x", source)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageFull) as full, storage_errors(), Path("/dev/full").open("wb", buffering=0) as device:
        device.write(b"x")
    assert full.value.code == "storage-full"
    assert full.value.status == 507


def test_a_failed_copy_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(Unavailable) as failed, storage_errors():
        copy_atomically(tmp_path, folder / "copy", durable=True)  # a folder cannot be read as a file
    assert failed.value.code == "artifacts-unavailable"
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, source: Path) -> None:
    (tmp_path / "artifacts").write_bytes(b"a file where the folder should be")
    with pytest.raises(Unavailable) as failed:
        FileStore(tmp_path / "artifacts").put("a/b", source)
    assert failed.value.code == "artifacts-unavailable"
    assert str(tmp_path) not in failed.value.detail


def test_a_url_chooses_the_store(tmp_path: Path, source: Path) -> None:
    folder = tmp_path / "with space"
    store = open_store(folder.as_uri())
    store.put("a", source)
    assert (folder / "a").read_bytes() == b"content"
    for url in ("ftp://host/x", "file://host/x", "relative", "file:relative"):
        with pytest.raises(AppError) as refused:
            open_store(url)
        assert refused.value.code == "unknown-artifact-store"


def test_a_disk_that_cannot_say_is_not_taken_for_an_empty_one(tmp_path: Path, source: Path) -> None:
    store = FileStore(tmp_path / ("x" * 300))  # the kernel refuses the name: neither there nor not there
    for ask in (
        lambda: store.put("a/b", source),
        lambda: store.fetch("a/b", tmp_path / "copy"),
        lambda: store.size("a/b"),
        lambda: list(store.read("a/b")),
        lambda: list(store.list("a")),
    ):
        with pytest.raises(Unavailable) as failed:
            ask()
        assert failed.value.code == "artifacts-unavailable"


def test_a_folder_that_is_no_folder_holds_nothing(store: FileStore, source: Path) -> None:
    store.put("a/b", source)
    assert store.size("a/b/c") is None
    assert list(store.list("a/b/c")) == list(store.list("a/c")) == []
