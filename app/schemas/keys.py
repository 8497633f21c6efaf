"""API keys: who may ask, and what each may do."""

from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints, field_validator

from app.schemas.base import Resource, StrictModel

KeyScope = Literal["predict", "read", "write", "admin"]
KeyStatus = Literal["active", "expired", "revoked"]
SCOPES: tuple[KeyScope, ...] = get_args(KeyScope)
IMPLIED: dict[KeyScope, frozenset[KeyScope]] = {
    "predict": frozenset({"predict"}),
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write"}),
    "admin": frozenset(SCOPES),
}
"""What each scope allows: whoever may change a thing may look at it, and an admin may do everything."""
ANONYMOUS, OPERATOR, CLIENT = "anonymous", "api-key", "client"
"""What histories call who asks without a key, who asks with the key of the settings, and who once asked at all."""
LONGEST_DAYS = 3650
_TAKEN = frozenset({ANONYMOUS, OPERATOR, CLIENT})

KeyName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63),
    Field(description="Lower-case letters, digits and '-'; 1 to 63 characters.", examples=["nightly-training"]),
]


class KeyRequest(StrictModel):
    """A key that is to be made."""

    name: KeyName
    """Who or what will use it: histories tell by this name who moved an alias or cancelled a job. Of the keys that are
    not revoked each has its own."""
    scopes: Annotated[list[KeyScope], Field(min_length=1, max_length=len(SCOPES))]
    """What it may do. ``predict``: ask versions, in any dialect, and give feedback. ``read``: look at everything,
    dataset rows too. ``write``: upload, train, promote and all else that changes something, and look. ``admin``:
    everything, which adds keys and deleting datasets and versions."""
    expires_in_days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] | None = None
    """Days after which it is refused; null: never."""

    @field_validator("name")
    @classmethod
    def _not_taken(cls, name: str) -> str:
        if name in _TAKEN:
            raise ValueError(f"is what histories call somebody else; choose a name other than {name}")
        return name

    @field_validator("scopes")
    @classmethod
    def _once(cls, scopes: list[KeyScope]) -> list[KeyScope]:
        if len(set(scopes)) != len(scopes):
            raise ValueError("names a scope twice; name each once")
        return scopes


class ApiKey(Resource):
    """A key, without its secret: that is kept nowhere."""

    id: str
    """Sortable and unique."""
    name: str
    """Who or what uses it."""
    prefix: str
    """The beginning of the key, by which its holder knows it again."""
    scopes: list[KeyScope]
    """What it may do."""
    status: KeyStatus
    """``active`` is let in; ``expired`` and ``revoked`` are not."""
    created_at: datetime
    """When it was made."""
    created_by: str
    """The name of the key that made it; ``api-key`` is the one of the settings, ``anonymous`` was asked for none."""
    expires_at: datetime | None
    """From when on it is refused; null: never."""
    last_used_at: datetime | None
    """When it was used last, within a minute or two; null: not yet."""
    revoked_at: datetime | None
    """When it was taken back; null: it was not."""


class NewApiKey(ApiKey):
    """A key that has just been made, with its secret."""

    key: str
    """The key itself. It is in this answer and nowhere else."""


class CurrentKey(Resource):
    """Who the service takes the caller for."""

    name: str
    """The name of the key; ``api-key`` is the one of the settings, ``anonymous`` is anyone, where no key is wanted."""
    scopes: list[KeyScope]
    """All that the caller may do, with what other scopes imply."""
    expires_at: datetime | None
    """From when on the key is refused; null: never."""
