"""The client of an S3-compatible server: one for all who go to the same place with the same key."""

from functools import lru_cache
from typing import Any

from botocore.config import Config
from botocore.session import Session

from app.artifacts.s3_access import S3Access

CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 60, 3


@lru_cache(maxsize=4)
def connect(access: S3Access) -> Any:
    """Make a client that gives up in time; nothing is sent yet. It takes a tenth of a second, so one serves all."""
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=32,
        tcp_keepalive=True,
        # Servers of one's own rarely have a name for each bucket, nor every new kind of checksum.
        s3={"addressing_style": "path" if access.endpoint_url else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return Session().create_client(
        "s3",
        endpoint_url=access.endpoint_url or None,
        region_name=access.region or ("us-east-1" if access.endpoint_url else None),
        aws_access_key_id=access.access_key_id or None,
        aws_secret_access_key=access.secret_access_key or None,
        config=config,
    )
