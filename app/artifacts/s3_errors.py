"""What an S3 server or the way to it says, in the words and classes of the artifact store."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from app.artifacts.file import missing
from app.errors import AppError, StorageFull, Unavailable

_FULL = {"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage"}
_ABSENT = {"NoSuchKey", "404", "NotFound"}


@contextmanager
def s3_errors(key: str = "") -> Iterator[None]:
    """Turn the errors of the library into NotFound ``artifact-missing``, StorageFull and Unavailable."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise translated(error, key) from error


def translated(error: Exception, key: str = "") -> AppError:
    """Make our error of one of the library's; it quotes nothing that might name an address or a key of access."""
    if not isinstance(error, ClientError):
        return _no_answer(error)
    code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _FULL or status == 507:
        return StorageFull(
            "The bucket that holds the artifacts is full.",
            code="storage-full",
            remedy="Enlarge its quota or free space; nothing half-written can be seen.",
        )
    if code == "NoSuchBucket":
        return _away("its bucket does not exist", "Create the bucket, or correct TUNESMITH_ARTIFACTS_URL.")
    if code in _ABSENT:
        return missing(key)
    if status in (401, 403):
        return _away(
            f"it refuses the service's key ({_word(code)})",
            "Check TUNESMITH_S3_ACCESS_KEY_ID, TUNESMITH_S3_SECRET_ACCESS_KEY and the clock; the key must be allowed "
            "to read, write, list and delete in the bucket.",
        )
    return _away(f"it answers {_word(code)}", "Look at the log of the S3 server.")


def code_of(error: ClientError) -> str:
    """Give the code of an S3 error, such as NoSuchKey; where the answer has no body, its status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _no_answer(error: Exception) -> AppError:
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        remedy = "Set TUNESMITH_S3_ACCESS_KEY_ID and TUNESMITH_S3_SECRET_ACCESS_KEY, or give the machine a role."
        return _away("no key of access is set", remedy)
    return _away(
        f"there is no whole answer ({type(error).__name__})",
        "Check TUNESMITH_S3_ENDPOINT_URL and that the S3 server runs and can be reached from here.",
    )


def _away(why: str, remedy: str) -> Unavailable:
    return Unavailable(f"The artifact store cannot be used: {why}.", code="artifacts-unavailable", remedy=remedy)


def _word(code: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", code)[:60]
