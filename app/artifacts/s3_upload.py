"""Uploads to a bucket: in one request, or in parts that are dropped when one of them fails."""

import base64
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from app.artifacts.s3_access import S3Access
from app.artifacts.s3_client import connect
from app.artifacts.s3_errors import code_of

BLOCK = 1024 * 1024
PART = 16 * BLOCK
"""Bytes of one part of a large file, held in memory; a store takes 10 000 parts."""
HASH = "sha256"
"""The name of the content's hash among an object's metadata."""
_LOOK_AGAIN = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload", "412"}
"""Another process was first, or the answer to our own first try was lost."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds."""

    size: int
    sha256: str
    md5: bytes


class Uploader:
    """Sends files into one bucket, each under a place that nothing has yet."""

    def __init__(self, bucket: str, access: S3Access, part: int) -> None:
        self._bucket = bucket
        self._access = access
        self._part = part
        self._condition: Mapping[str, str] = {"IfNoneMatch": "*"}

    def send(self, place: str, source: Path, content: Content) -> None:
        """Send a file; nothing can be seen before all of it is there.

        That it came too late, because something is there already, is no error.
        """
        send = self._send_whole if content.size <= self._part else self._send_parts
        try:
            send(place, source, content)
        except ClientError as error:
            if code_of(error) == "NotImplemented" and self._condition:
                self._condition = {}  # an older server: keys are never used twice anyway
                send(place, source, content)
            elif code_of(error) not in _LOOK_AGAIN:
                raise

    def _send_whole(self, place: str, source: Path, content: Content) -> None:
        with source.open("rb") as file:
            self._client.put_object(
                Bucket=self._bucket,
                Key=place,
                Body=file,
                ContentLength=content.size,
                ContentMD5=_text(content.md5),
                Metadata={HASH: content.sha256},
                **self._condition,
            )

    def _send_parts(self, place: str, source: Path, content: Content) -> None:
        made = self._client.create_multipart_upload(
            Bucket=self._bucket, Key=place, Metadata={HASH: content.sha256}, ContentType="application/octet-stream"
        )
        upload = {"Bucket": self._bucket, "Key": place, "UploadId": made["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            with source.open("rb") as file:
                while block := file.read(self._part):
                    number = len(parts) + 1
                    digest = _text(hashlib.md5(block, usedforsecurity=False).digest())
                    sent = self._client.upload_part(Body=block, PartNumber=number, ContentMD5=digest, **upload)
                    parts.append({"ETag": sent["ETag"], "PartNumber": number})
            self._client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **upload, **self._condition)
        except BaseException:
            with suppress(ClientError, BotoCoreError):  # what is left of it goes with remove()
                self.abort(place, made["UploadId"])
            raise

    def abort(self, place: str, upload_id: str) -> None:
        """Drop the parts of an upload."""
        self._client.abort_multipart_upload(Bucket=self._bucket, Key=place, UploadId=upload_id)

    @property
    def _client(self) -> Any:
        return connect(self._access)


def measure(source: Path) -> Content:
    """Read a file once for all that must be known of it."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with source.open("rb") as file:
        while block := file.read(BLOCK):
            sha256.update(block)
            md5.update(block)
            size += len(block)
    return Content(size, sha256.hexdigest(), md5.digest())


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
