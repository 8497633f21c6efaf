"""A bucket as an artifact store: half-sent files, broken lines, and every way in which a server can refuse."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.artifacts.s3 import S3Store
from app.artifacts.s3_access import S3Access, access_of, place_of
from app.artifacts.s3_client import connect
from app.artifacts.store import open_store, store_of
from app.errors import AppError, Unavailable
from app.settings import Settings
from tests.s3_server import BUCKET, Line, S3Server

MIB = 1024 * 1024


@pytest.fixture
def opened(s3_server: S3Server, tmp_path: Path) -> Callable[..., S3Store]:
    """Open the store of this test, perhaps in another way than usual."""

    def opened(bucket: str = BUCKET, **access: str) -> S3Store:
        return S3Store(bucket, f"{tmp_path.name}/", replace(s3_server.access, **access), part=5 * MIB)

    return opened


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file of two parts."""
    path = tmp_path / "big"
    path.write_bytes(bytes(range(256)) * (6 * MIB // 256))
    return path


def unfinished(server: S3Server, prefix: str) -> list[str]:
    """List the uploads that were begun and not ended."""
    answer = server.client().list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
    return [upload["Key"] for upload in answer.get("Uploads", [])]


def test_a_download_goes_on_where_the_line_broke(opened, line: Line, big: Path, tmp_path: Path) -> None:
    opened().put("a/big", big)
    line.down, line.breaks = 3 * MIB, 2
    opened(endpoint_url=line.url).fetch("a/big", tmp_path / "copy")
    assert line.breaks == 0
    assert (tmp_path / "copy").read_bytes() == big.read_bytes()


def test_a_line_that_breaks_again_and_again_is_given_up(opened, line: Line, big: Path, tmp_path: Path) -> None:
    opened().put("a/big", big)
    line.down, line.breaks = 2_000, 1 << 30
    with pytest.raises(Unavailable) as away:
        opened(endpoint_url=line.url).fetch("a/big", tmp_path / "copy")
    assert away.value.code == "artifacts-unavailable"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big"]


def test_an_upload_is_sent_again_when_the_line_breaks(opened, line: Line, big: Path) -> None:
    line.up = 2 * MIB
    store = opened(endpoint_url=line.url)
    store.put("a/big", big)
    assert (line.breaks, store.size("a/big")) == (0, 6 * MIB)


def test_an_upload_that_fails_leaves_nothing(
    opened, s3_server: S3Server, line: Line, big: Path, tmp_path: Path
) -> None:
    line.up, line.breaks = 2 * MIB, 3  # as often as one part is tried
    with pytest.raises(Unavailable):
        opened(endpoint_url=line.url).put("a/big", big)
    assert line.breaks == 0
    assert unfinished(s3_server, tmp_path.name) == []
    assert (opened().size("a/big"), list(opened().list(""))) == (None, [])


def test_removing_ends_the_uploads_of_a_killed_process(opened, s3_server: S3Server, tmp_path: Path) -> None:
    for key in ("models/job_1/1/model.onnx", "models/job_1/2/model.onnx"):
        s3_server.client().create_multipart_upload(Bucket=BUCKET, Key=f"{tmp_path.name}/{key}")
    opened().remove("models/job_1/1")
    assert unfinished(s3_server, tmp_path.name) == [f"{tmp_path.name}/models/job_1/2/model.onnx"]
    opened().remove("models")
    assert unfinished(s3_server, tmp_path.name) == []


def test_what_another_tool_has_put_is_compared_by_its_content(opened, s3_server: S3Server, tmp_path: Path) -> None:
    s3_server.client().put_object(Bucket=BUCKET, Key=f"{tmp_path.name}/a/b", Body=b"content")
    source = tmp_path / "source"
    source.write_bytes(b"content")
    opened().put("a/b", source)
    source.write_bytes(b"CONTENT")
    with pytest.raises(AppError) as refused:
        opened().put("a/b", source)
    assert refused.value.code == "artifact-exists"


def test_a_long_list_is_read_page_by_page(opened, s3_server: S3Server, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    # A region of its own makes it a client of its own.
    client, pages = connect(replace(s3_server.access, region="pages")), []

    def short(params: dict[str, object], **_: object) -> None:
        pages.append(params.get("ContinuationToken"))
        params["MaxKeys"] = 2

    client.meta.events.register("provide-client-params.s3.ListObjectsV2", short)
    store = opened(region="pages")
    keys = [f"a/{number}" for number in range(5)]
    for key in keys:
        store.put(key, source)
    assert list(store.list("a")) == keys
    assert len(pages) == 3
    store.remove("a")
    assert list(store.list("")) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bucket": "nothing-here"}, "bucket does not exist"),
        ({"access_key_id": "nobody"}, "refuses the service's key"),
        ({"secret_access_key": "wrong"}, "refuses the service's key"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "no whole answer"),
    ],
)
def test_a_store_that_cannot_be_used_says_why(opened, tmp_path: Path, change: dict[str, str], words: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    store = opened(**change)
    started = time.monotonic()
    for call in (lambda: store.put("a/b", source), lambda: list(store.read("a/b")), lambda: list(store.list("a"))):
        with pytest.raises(Unavailable, match=words) as away:
            call()
        assert away.value.code == "artifacts-unavailable"
        assert away.value.remedy
        assert not any(secret in str(away.value.problem()) for secret in ("wrong", "a-secret", "127.0.0.1", "nobody"))
    assert time.monotonic() - started < 15


def test_a_key_that_may_only_read_is_told_so(s3_server: S3Server, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    store = S3Store(BUCKET, f"{tmp_path.name}/", s3_server.reader)
    assert store.size("a/b") is None
    with pytest.raises(Unavailable, match="AccessDenied"):
        store.put("a/b", source)


def test_the_settings_choose_the_store(s3_server: S3Server, tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        artifacts_url=f"s3://{BUCKET}/{tmp_path.name}/deep",
        s3_endpoint_url=s3_server.url,
        s3_access_key_id=s3_server.access.access_key_id,
        s3_secret_access_key=s3_server.access.secret_access_key,
    )
    source = tmp_path / "source"
    source.write_bytes(b"x")
    store_of(settings).put("a/b", source)
    found = s3_server.client().head_object(Bucket=BUCKET, Key=f"{tmp_path.name}/deep/a/b")
    assert found["ContentLength"] == 1
    assert s3_server.access.secret_access_key not in repr(settings) + repr(access_of(settings))


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"), [("s3://b", "b", ""), ("s3://b/", "b", ""), ("s3://b.c/x/y/", "b.c", "x/y/")]
)
def test_a_url_names_bucket_and_prefix(url: str, bucket: str, prefix: str) -> None:
    assert place_of(url) == (bucket, prefix)


@pytest.mark.parametrize("url", ["s3:", "s3:///x", "s3://key:secret@b/x", "s3://b:80/x", "s3://b/../x", "s3://b/x?y=1"])
def test_a_url_that_says_something_else_is_refused(url: str) -> None:
    with pytest.raises(AppError) as refused:
        open_store(url, S3Access())
    assert refused.value.code == "unknown-artifact-store"
    assert "secret" not in str(refused.value.problem())


@pytest.mark.parametrize(
    "half", [{"s3_access_key_id": "k"}, {"s3_secret_access_key": "s"}, {"s3_endpoint_url": "somewhere:9000"}]
)
def test_half_a_setting_is_refused_at_start(half: dict[str, str]) -> None:
    with pytest.raises(AppError) as refused:
        store_of(Settings(_env_file=None, artifacts_url="s3://b", **half))
    assert refused.value.code == "incomplete-s3-settings"
