"""The keys of the service as this process knows them: a copy in memory, so that no request waits for the database."""

import asyncio
import hashlib
import hmac
import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import SecretStr

from app import bearer
from app.errors import AppError, Unauthenticated
from app.logging import get_logger
from app.schemas.keys import ANONYMOUS, CLIENT, IMPLIED, OPERATOR, SCOPES, KeyScope
from app.store import keys
from app.store.engine import Database
from app.store.keys import KnownKey

log = get_logger(__name__)

REFRESH_SECONDS = 2.0
ROUNDS_BEFORE_WRITING = 30
"""A minute: as often as the use of a key is written."""
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tunesmith"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and all that they may do."""

    name: str
    scopes: frozenset[KeyScope]
    expires_at: datetime | None = None

    @property
    def actor(self) -> str:
        """Say what the history of a job calls them: who was asked for no name is just a client."""
        return CLIENT if self is ANYONE else self.name

    @property
    def is_admin(self) -> bool:
        """Say whether they may do everything."""
        return "admin" in self.scopes


@dataclass(frozen=True, slots=True)
class _Entry:
    key: KnownKey
    caller: Caller


@dataclass(frozen=True, slots=True)
class _Snapshot:
    entries: Mapping[str, list[_Entry]] = field(default_factory=dict)
    """By the part of the key that is no secret: to look up the secret itself would tell something by its time."""
    unread: AppError | None = None
    """Why no key is known yet, where none could be read."""


ANYONE = Caller(ANONYMOUS, frozenset(SCOPES))
_OPERATOR = Caller(OPERATOR, frozenset(SCOPES))


class Keyring:
    """The key of the settings, and the named ones of the database, read anew every two seconds.

    Without any key everyone is let in. A named key closes the service, also after it has expired.
    """

    def __init__(self, operator_key: SecretStr | None) -> None:
        self.has_operator_key = operator_key is not None
        given = "" if operator_key is None else operator_key.get_secret_value()
        self._operator = hashlib.sha256(given.encode()).digest()
        self._snapshot = _Snapshot()
        self._database: Database | None = None
        self._uses: dict[str, datetime] = {}
        self._reading = threading.Lock()
        """So that what was read first is never put in the place of what was read last."""

    def open(self, database: Database) -> None:
        """Read the keys for the first time; where the database is away, nobody is taken for anyone until it is back."""
        self._database = database
        try:
            self.refresh()
        except AppError as error:
            self._snapshot = _Snapshot(unread=error)

    async def follow(self) -> None:
        """Read the keys again and again, and write now and then when they were used, until cancelled.

        It borrows a thread for that: one of its own would cost memory for nothing.
        """
        for number in itertools.count(1):
            await asyncio.sleep(REFRESH_SECONDS)
            await asyncio.to_thread(self._attempt, self.refresh)
            if number % ROUNDS_BEFORE_WRITING == 0:
                await asyncio.to_thread(self._attempt, self.flush)

    def close(self) -> None:
        """Write what is left to write."""
        self._attempt(self.flush)

    def refresh(self) -> None:
        """Read the keys now. Raises Unavailable."""
        if self._database is not None:
            with self._reading, self._database.transaction(read_only=True) as session:
                self._snapshot = _Snapshot(_by_prefix(keys.known(session)))

    def caller(self, given: str | None) -> Caller:
        """Say whose key this is. Raises Unauthenticated, or why that cannot be told yet."""
        known = self._snapshot
        if given is not None and self.has_operator_key and self._is_operators(given):
            return _OPERATOR
        if known.unread is not None and (bearer.is_key(given or "") or not self.has_operator_key):
            raise known.unread.with_traceback(None)  # else it would carry the frames of every request so far
        entry = None if given is None else _found(known, given)
        if entry is None:
            if self.has_operator_key or known.entries:
                raise _unauthenticated()
            return ANYONE
        at = datetime.now(UTC)
        if entry.key.expires_at is not None and entry.key.expires_at <= at:
            raise _expired(entry.key)
        self._uses[entry.key.id] = at
        return entry.caller

    def flush(self) -> None:
        """Write which keys were used when; no request waits for that. Raises Unavailable."""
        uses = dict(self._uses)
        if self._database is None or not uses:
            return
        self._database.run(lambda session: keys.note_uses(session, uses))
        for key_id, at in uses.items():
            if self._uses.get(key_id) == at:
                del self._uses[key_id]

    def _is_operators(self, given: str) -> bool:
        # Digests are compared, so that neither length nor content of the key shows in the time it takes.
        return hmac.compare_digest(hashlib.sha256(given.encode("latin-1", "replace")).digest(), self._operator)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except AppError as error:  # the keys that were known go on being let in
            log.warning("The keys could not be read or written", code=error.code)
        except Exception:  # the keys must be followed whatever happens: nobody would begin again
            log.exception("The keys could not be read or written")


def _by_prefix(known: Iterable[KnownKey]) -> dict[str, list[_Entry]]:
    entries: dict[str, list[_Entry]] = {}
    for key in known:
        scopes = frozenset[KeyScope]().union(*(IMPLIED[scope] for scope in SCOPES if scope in key.scopes))
        entries.setdefault(key.prefix, []).append(_Entry(key, Caller(key.name, scopes, key.expires_at)))
    return entries


def _found(known: _Snapshot, given: str) -> _Entry | None:
    alike = known.entries.get(bearer.beginning(given), ())
    sha256 = bearer.digest(given) if alike else ""
    return next((entry for entry in alike if hmac.compare_digest(entry.key.sha256, sha256)), None)


def _unauthenticated() -> AppError:
    return Unauthenticated(
        "The request carries no valid key.",
        code="unauthenticated",
        remedy="Send one header Authorization: Bearer KEY, with a key that was made with POST /keys and is not "
        "revoked, or with the value of TUNESMITH_API_KEY.",
        headers=_CHALLENGE,
    )


def _expired(key: KnownKey) -> AppError:
    return Unauthenticated(
        f"The key {key.name} has expired.",
        code="key-expired",
        remedy="Have an admin make a new one with POST /keys, and use that.",
        headers=_CHALLENGE,
    )
