"""API keys on both databases: a name once, nothing but a hash, uses by the minute."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app import bearer
from app.errors import Conflict
from app.schemas.keys import KeyRequest
from app.store import keys
from app.store.engine import Database
from app.store.tables import ApiKey


def make(session: Session, name: str = "ci", **wishes: Any) -> ApiKey:
    request = KeyRequest.model_validate({"name": name, "scopes": ["write"]} | wishes)
    return keys.insert(session, request, bearer.new_key(), "api-key")


def test_a_name_is_taken_until_its_key_is_revoked_and_only_the_hash_is_kept(database: Database) -> None:
    secret = bearer.new_key()
    first = database.run(lambda session: keys.insert(session, KeyRequest(name="ci", scopes=["read"]), secret, "boss"))
    with pytest.raises(Conflict) as caught:
        database.run(make)
    assert caught.value.code == "key-name-taken"
    with database.transaction(read_only=True) as session:
        stored = str(session.execute(text("SELECT * FROM api_keys")).all())
        assert [key.sha256 for key in keys.known(session)] == [bearer.digest(secret)]
    assert secret not in stored and first.prefix in stored
    database.run(lambda session: keys.revoke(session, session.get_one(ApiKey, first.id)))
    second = database.run(lambda session: make(session, expires_in_days=1))
    assert second.expires_at == second.created_at + timedelta(days=1)
    with database.transaction(read_only=True) as session:
        assert [key.id for key in keys.known(session)] == [second.id]
        newest, cursor = keys.page(session, 1, with_revoked=True)
        oldest, end = keys.page(session, 1, cursor, with_revoked=True)
        assert [row.id for row in newest + oldest] == [second.id, first.id] and end is None
        assert [row.id for row in keys.page(session, 9)[0]] == [second.id]


def test_a_use_is_written_when_it_is_a_minute_later_than_the_one_that_is_written(database: Database) -> None:
    key = database.run(make)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    told = []
    for seconds in (0, 59, 61, 30):
        moment = at + timedelta(seconds=seconds)
        database.run(lambda session, moment=moment: keys.note_uses(session, {key.id: moment, "key_gone": moment}))
        with database.transaction(read_only=True) as session:
            last = session.get_one(ApiKey, key.id).last_used_at
            assert last is not None
            told.append((last - at).total_seconds())
    assert told == [0, 0, 61, 61]


def test_of_two_who_revoke_at_once_one_waits_for_the_other(database: Database) -> None:
    """Else each could find the other's key still standing, and none would be left."""
    ids = [database.run(lambda session, name=name: make(session, name)).id for name in ("a", "b")]
    meet = threading.Barrier(2)
    left: list[int] = []

    def revoke(key_id: str) -> None:
        def work(session: Session) -> int:
            standing = keys.unrevoked(session)
            keys.revoke(session, session.get_one(ApiKey, key_id))
            return len(standing) - 1

        meet.wait()
        left.append(database.run(work))

    threads = [threading.Thread(target=revoke, args=(key_id,)) for key_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(left) == [0, 1]
