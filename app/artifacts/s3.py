"""Artifacts in a bucket of an S3-compatible store: what is visible under a key is whole, and it is never changed."""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from app.artifacts.file import conflict, storage_errors
from app.artifacts.keys import split_key
from app.artifacts.s3_access import S3Access
from app.artifacts.s3_client import ATTEMPTS, connect
from app.artifacts.s3_errors import code_of, s3_errors, translated
from app.artifacts.s3_upload import BLOCK, HASH, PART, Content, Uploader, measure
from app.errors import Unavailable


class S3Store:
    """Keep artifacts below one prefix of a bucket; any number of machines may share it."""

    def __init__(self, bucket: str, prefix: str, access: S3Access, *, part: int = PART) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._access = access
        self._uploads = Uploader(bucket, access, part)

    def put(self, key: str, source: Path) -> None:
        """Keep a copy of ``source`` under ``key``, durably and all at once; the same content again is fine.

        Raises Conflict ``artifact-exists`` when the key holds something else, StorageFull, Unavailable.
        """
        place = self._place(key)
        with storage_errors():
            content = measure(source)
        with s3_errors(key):
            if not self._holds(place, key, content):
                self._uploads.send(place, source, content)
                if not self._holds(place, key, content):
                    raise Unavailable(
                        "The artifact store took an artifact and does not show it.",
                        code="artifacts-unavailable",
                        remedy="Look at the log of the S3 server.",
                    )

    def fetch(self, key: str, destination: Path) -> None:
        """Copy the artifact to ``destination``, which is whole as soon as it exists.

        Raises NotFound ``artifact-missing``, StorageFull, Unavailable.
        """
        blocks = self.read(key)
        first = next(blocks, b"")  # before anything is made here: it may be missing
        temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(6)}.part")
        with storage_errors():
            destination.parent.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("xb") as file:
                    file.write(first)
                    file.writelines(blocks)
                temporary.replace(destination)
            finally:
                temporary.unlink(missing_ok=True)

    def read(self, key: str) -> Iterator[bytes]:
        """Give the artifact's content in blocks of a megabyte. Raises NotFound ``artifact-missing``, Unavailable.

        Where the line breaks on the way, it goes on behind what was read, but not for ever.
        """
        place, at, size, troubles = self._place(key), 0, None, 0
        while size is None or at < size:
            wanted = {"Range": f"bytes={at}-"} if at else {}
            with s3_errors(key):
                answer = self._client.get_object(Bucket=self._bucket, Key=place, **wanted)
            size = at + answer["ContentLength"]
            try:
                with closing(answer["Body"]) as body:
                    for block in body.iter_chunks(BLOCK):
                        at += len(block)
                        troubles = 0
                        yield block
            except (BotoCoreError, OSError) as error:
                troubles += 1
                if troubles >= ATTEMPTS:
                    raise translated(error, key) from error

    def size(self, key: str) -> int | None:
        """Give the artifact's size in bytes, None when there is none. Raises Unavailable."""
        place = self._place(key)
        with s3_errors(key):
            found = self._head(place)
        return None if found is None else int(found["ContentLength"])

    def list(self, prefix: str) -> Iterator[str]:
        """Give the keys below the folder ``prefix`` in order; an empty prefix means all. Raises Unavailable."""
        for place in self._below(f"{self._place(prefix)}/" if prefix else self._prefix):
            key = place[len(self._prefix) :]
            if not key.endswith("/"):  # what some tools leave for a folder
                yield key

    def delete(self, key: str) -> None:
        """Remove the artifact; removing nothing is fine. Raises Unavailable."""
        place = self._place(key)
        with s3_errors(key):
            self._client.delete_object(Bucket=self._bucket, Key=place)

    def remove(self, prefix: str) -> None:
        """Remove everything below the folder ``prefix``, unfinished uploads too; removing nothing is fine.

        Raises Unavailable: some of it may still be there.
        """
        folder = f"{self._place(prefix)}/"
        for place in self._below(folder):
            with s3_errors():
                self._client.delete_object(Bucket=self._bucket, Key=place)
        with s3_errors():
            for upload in self._pages("list_multipart_uploads", "Uploads", folder):
                with suppress(self._client.exceptions.NoSuchUpload):
                    self._uploads.abort(upload["Key"], upload["UploadId"])

    def _holds(self, place: str, key: str, content: Content) -> bool:
        """Say whether the key holds this content; raises Conflict when it holds another."""
        found = self._head(place)
        if found is None:
            return False
        sha256 = found.get("Metadata", {}).get(HASH)
        if found["ContentLength"] == content.size and (sha256 or self._hash(key)) == content.sha256:
            return True
        raise conflict(key)

    def _hash(self, key: str) -> str:
        """Hash what lies there: it was not put by this class."""
        digest = hashlib.sha256()
        for block in self.read(key):
            digest.update(block)
        return digest.hexdigest()

    def _head(self, place: str) -> Any:
        try:
            return self._client.head_object(Bucket=self._bucket, Key=place)
        except ClientError as error:
            if code_of(error) in ("404", "NoSuchKey", "NotFound"):
                return None
            raise

    def _below(self, folder: str) -> Iterator[str]:
        with s3_errors():
            for found in self._pages("list_objects_v2", "Contents", folder):
                yield found["Key"]

    def _pages(self, operation: str, part: str, folder: str) -> Iterator[Any]:
        for page in self._client.get_paginator(operation).paginate(Bucket=self._bucket, Prefix=folder):
            yield from page.get(part, ())

    def _place(self, key: str) -> str:
        return self._prefix + "/".join(split_key(key))

    @property
    def _client(self) -> Any:
        return connect(self._access)
