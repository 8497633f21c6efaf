"""The folder store: atomic, durable, closed to keys that lead elsewhere, plain about a full disk."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.artifacts.file import FileStore, copy_atomically, storage_errors
from app.artifacts.keys import split_key
from app.artifacts.store import open_store
from app.errors import AppError, Conflict, InternalError, NotFound, StorageFull, Unavailable

UNSAFE = [
    *[
        "",
        "/etc/passwd",
        "..",
        "a/../b",
        "a/..",
        "./a",
        "a//b",
        "a/",
        "/",
        "a\\b",
        "..\\b",
        "a\0b",
        "a\nb",
        "a b",
        "~/x",
    ],
    *[".hidden", "a/.b.part", "ä", "a/" * 300 + "a", "x" * 200, "C:", "%2e%2e/x", "a\u2215b"],
]


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "artifacts")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"content")
    return path


def test_what_was_put_can_be_fetched(store: FileStore, source: Path, tmp_path: Path) -> None:
    store.put("models/job_1/1/weights/model.safetensors", source)
    store.fetch("models/job_1/1/weights/model.safetensors", tmp_path / "deep" / "copy")
    assert (tmp_path / "deep" / "copy").read_bytes() == b"content"
    assert store.size("models/job_1/1/weights/model.safetensors") == 7


def test_the_same_content_again_is_fine_and_another_is_refused(store: FileStore, source: Path, tmp_path: Path) -> None:
    store.put("a/b", source)
    store.put("a/b", source)
    for content in (b"CONTENT", b"content!", b"conten", b""):
        source.write_bytes(content)
        with pytest.raises(Conflict, match="another content") as refused:
            store.put("a/b", source)
        assert refused.value.code == "artifact-exists"
    store.fetch("a/b", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"content"


def test_a_missing_key_is_said_to_be_missing(store: FileStore, source: Path, tmp_path: Path) -> None:
    store.put("a/b", source)
    for key in ("nothing", "a", "a/b/c"):
        with pytest.raises(NotFound) as missing:
            store.fetch(key, tmp_path / "copy")
        assert missing.value.code == "artifact-missing"
        assert store.size(key) is None
    assert not (tmp_path / "copy").exists()


def test_listing_is_ordered_and_hides_unfinished_copies(store: FileStore, source: Path) -> None:
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


@pytest.mark.parametrize("key", UNSAFE)
def test_an_unsafe_key_is_refused_by_every_method(store: FileStore, source: Path, tmp_path: Path, key: str) -> None:
    calls = [
        lambda: store.put(key, source),
        lambda: store.fetch(key, tmp_path / "copy"),
        lambda: store.size(key),
        lambda: store.delete(key),
        lambda: list(store.list(key or "/")),
    ]
    for call in calls:
        with pytest.raises(InternalError) as refused:
            call()
        assert refused.value.code == "unsafe-artifact-key"
        assert key not in refused.value.detail or key in ("", ".", "..", "/")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


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


def test_readers_never_see_half_an_artifact(store: FileStore, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(b"x" * 8_000_000)
    seen: set[int | None] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(store.size("a/big"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    writers = [threading.Thread(target=store.put, args=("a/big", source)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    seen.add(store.size("a/big"))
    done.set()
    watcher.join()
    assert seen <= {None, 8_000_000}
    assert [path.name for path in (store.root / "a").iterdir()] == ["big"]


def test_a_url_chooses_the_store(tmp_path: Path, source: Path) -> None:
    folder = tmp_path / "with space"
    store = open_store(folder.as_uri())
    store.put("a", source)
    assert (folder / "a").read_bytes() == b"content"
    for url in ("ftp://host/x", "file://host/x", "relative", "file:relative"):
        with pytest.raises(AppError) as refused:
            open_store(url)
        assert refused.value.code == "unknown-artifact-store"
