"""What every artifact store must do, a folder and a bucket alike."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.artifacts.file import FileStore
from app.artifacts.s3 import S3Store
from app.artifacts.store import ArtifactStore
from app.errors import Conflict, InternalError, NotFound
from tests.s3_server import BUCKET, S3Server

UNSAFE = [
    *["", "/etc/passwd", "..", "a/../b", "a/..", "./a", "a//b", "a/", "/", "a\\b", "..\\b", "a\0b", "a\nb", "a b"],
    *["~/x", ".hidden", "a/.b.part", "ä", "a/" * 300 + "a", "x" * 200, "C:", "%2e%2e/x", "a\u2215b"],
]


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """An empty store of each kind."""
    if request.param == "file":
        return FileStore(tmp_path / "artifacts")
    server: S3Server = request.getfixturevalue("s3_server")
    # Small parts, so that a file of a few megabytes already takes several.
    return S3Store(BUCKET, f"{tmp_path.name}/", server.access, part=5 * 1024 * 1024)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small file."""
    path = tmp_path / "source"
    path.write_bytes(b"content")
    return path


def test_what_was_put_can_be_fetched(store: ArtifactStore, source: Path, tmp_path: Path) -> None:
    key = "models/job_1/1/weights/model.safetensors"
    store.put(key, source)
    store.fetch(key, tmp_path / "deep" / "copy")
    assert (tmp_path / "deep" / "copy").read_bytes() == b"".join(store.read(key)) == b"content"
    assert store.size(key) == 7


def test_an_empty_file_is_a_file(store: ArtifactStore, source: Path, tmp_path: Path) -> None:
    source.write_bytes(b"")
    store.put("a/empty", source)
    store.fetch("a/empty", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b""
    assert (store.size("a/empty"), list(store.read("a/empty"))) == (0, [])


def test_the_same_content_again_is_fine_and_another_is_refused(
    store: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    store.put("a/b", source)
    store.put("a/b", source)
    for content in (b"CONTENT", b"content!", b"conten", b""):
        source.write_bytes(content)
        with pytest.raises(Conflict, match="another content") as refused:
            store.put("a/b", source)
        assert refused.value.code == "artifact-exists"
    store.fetch("a/b", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"content"


def test_a_missing_key_is_said_to_be_missing(store: ArtifactStore, source: Path, tmp_path: Path) -> None:
    store.put("a/b", source)
    for key in ("nothing", "a", "a/b/c"):
        for ask in (lambda key=key: store.fetch(key, tmp_path / "no" / "copy"), lambda key=key: list(store.read(key))):
            with pytest.raises(NotFound) as missing:
                ask()
            assert missing.value.code == "artifact-missing"
        assert store.size(key) is None
    assert not (tmp_path / "no").exists()


def test_listing_gives_what_is_below_a_folder(store: ArtifactStore, source: Path) -> None:
    for key in ("b/2", "b/1/x", "a", "bb/1"):
        store.put(key, source)
    assert sorted(store.list("")) == ["a", "b/1/x", "b/2", "bb/1"]
    assert sorted(store.list("b")) == ["b/1/x", "b/2"]
    assert list(store.list("c")) == []


def test_deleting_nothing_is_fine(store: ArtifactStore, source: Path) -> None:
    store.put("datasets/ds_1/rows.jsonl", source)
    store.delete("datasets/ds_1/rows.jsonl")
    store.delete("datasets/ds_1/rows.jsonl")
    assert (store.size("datasets/ds_1/rows.jsonl"), list(store.list(""))) == (None, [])
    store.put("datasets/ds_1/rows.jsonl", source)
    assert store.size("datasets/ds_1/rows.jsonl") == 7


def test_removing_a_folder_takes_nothing_else(store: ArtifactStore, source: Path) -> None:
    for key in ("models/job_1/1/weights/model", "models/job_1/1/x", "models/job_1/11/x", "models/job_1/2/model"):
        store.put(key, source)
    store.remove("models/job_1/1")
    store.remove("models/job_1/1")
    assert sorted(store.list("models")) == ["models/job_1/11/x", "models/job_1/2/model"]


@pytest.mark.parametrize("key", UNSAFE)
def test_an_unsafe_key_is_refused_by_every_method(store: ArtifactStore, source: Path, tmp_path: Path, key: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.put(key, source),
        lambda: store.fetch(key, tmp_path / "copy"),
        lambda: list(store.read(key)),
        lambda: store.size(key),
        lambda: store.delete(key),
        lambda: store.remove(key),
        lambda: list(store.list(key or "/")),
    ]
    for call in calls:
        with pytest.raises(InternalError) as refused:
            call()
        assert refused.value.code == "unsafe-artifact-key"
        assert key not in refused.value.detail or key in ("", ".", "..", "/")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_a_large_file_is_whole_and_is_never_seen_in_part(store: ArtifactStore, tmp_path: Path) -> None:
    source = tmp_path / "big"
    source.write_bytes(bytes(range(256)) * 24_000)
    size = source.stat().st_size
    seen: set[int | None] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(store.size("a/big"))
            done.wait(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    writers = [threading.Thread(target=store.put, args=("a/big", source)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    seen.add(store.size("a/big"))
    done.set()
    watcher.join()
    assert seen <= {None, size} and size in seen
    store.fetch("a/big", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert list(store.list("a")) == ["a/big"]
