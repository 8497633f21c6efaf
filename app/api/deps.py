"""What endpoints are given: the running parts of the service, and the headers that several of them understand."""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request, Response

from app.api.dataset_rows import RowReader
from app.api.keyring import Caller, Keyring
from app.artifacts.store import ArtifactStore
from app.errors import MalformedRequest
from app.preflight.inspection import Inspector
from app.preflight.jobs import JobPreflight
from app.queue.enqueue import Doorbell
from app.queue.word import Word
from app.serving.pool import Pool
from app.serving.service import PredictionService
from app.settings import Settings
from app.store.engine import Database

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?(?:$|[,;\s])", re.IGNORECASE)
LONGEST_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Services:
    """The parts of one running API process."""

    settings: Settings
    database: Database
    artifacts: ArtifactStore
    doorbell: Doorbell
    preflight: JobPreflight
    inspector: Inspector
    rows: RowReader
    predictions: PredictionService
    pool: Pool
    keyring: Keyring
    word: Word

    def registry_changed(self) -> None:
        """Have this process look at the registry at once, and the others too where a broker can tell them."""
        self.pool.hurry()
        self.word.spread()

    @property
    def silence_seconds(self) -> float:
        """How long a worker may be silent and still count as connected."""
        return max(10.0, 4 * self.settings.heartbeat_seconds)


async def services_of(request: Request) -> Services:
    """Give the parts that the lifespan has built."""
    services: Services = request.app.state.services
    return services


async def idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="A value of your own, such as a UUID. The same key with the same body gives the same answer, "
            "marked `Idempotency-Replayed: true`, and does nothing twice; with another body: 422. Kept 24 h.",
        ),
    ] = None,
) -> str | None:
    """Check the key; raises MalformedRequest ``invalid-idempotency-key``."""
    if key is not None and not _KEY.fullmatch(key):
        raise MalformedRequest(
            "The Idempotency-Key is empty, too long, or has unusual characters.",
            code="invalid-idempotency-key",
            remedy="Use 1 to 255 visible ASCII characters, such as a UUID.",
        )
    return key


async def wait_seconds(
    response: Response,
    prefer: Annotated[
        str | None,
        Header(
            alias="Prefer",
            description=f"`wait=N` answers when the job has finished, or after N seconds (at most "
            f"{LONGEST_WAIT_SECONDS}), whichever is first.",
            examples=["wait=30"],
        ),
    ] = None,
) -> float:
    """Read ``Prefer: wait=N`` and say so in the answer; what else is preferred is ignored, as RFC 7240 says."""
    found = _WAIT.search(prefer or "")
    seconds = min(int(found.group(1)), LONGEST_WAIT_SECONDS) if found else 0
    if seconds:
        response.headers["Preference-Applied"] = f"wait={seconds}"
    return float(seconds)


async def asking(request: Request) -> Caller:
    """Say who asks; the guard has found it out."""
    caller: Caller = request.state.caller
    return caller


CallerDep = Annotated[Caller, Depends(asking)]
ServicesDep = Annotated[Services, Depends(services_of)]
KeyDep = Annotated[str | None, Depends(idempotency_key)]
WaitDep = Annotated[float, Depends(wait_seconds)]
DatasetId = Annotated[
    str, Path(description="The `id` of the dataset.", examples=["ds_019302f4c8d27c31a3b1f0e4d5c6b7a8"])
]
JobId = Annotated[str, Path(description="The `id` of the job.", examples=["job_019302f4d1b37a4fb2c6e8d0f1a3b5c7"])]
Limit = Annotated[int, Query(ge=1, le=100, description="Items a page.")]
Cursor = Annotated[str | None, Query(max_length=512, description="`next_cursor` of the page before.")]
