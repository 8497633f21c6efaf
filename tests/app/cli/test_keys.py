"""API keys from the command line and the client, against a service that each test may close."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import bearer
from app.client import ApiError, Tunesmith
from app.settings import Settings
from tests.app.cli.conftest import Ran, Run
from tests.app.live_service import LiveService, live_service


@pytest.fixture
def own_service(data_dir: Path, sqlite_url: str) -> Iterator[LiveService]:
    """An open service of this test alone."""
    with live_service(Settings(_env_file=None, data_dir=data_dir, database_url=sqlite_url, log_level="ERROR")) as own:
        yield own


def test_keys_are_made_listed_and_revoked(own_service: LiveService, run: Run) -> None:
    def keys(*arguments: str, key: str = "") -> Ran:
        return run("--url", own_service.url, *(("--api-key", key) if key else ()), "keys", *arguments)

    assert "No keys." in keys().out
    early = keys("create", "ci", "--scope", "write")
    assert (early.status, early.out) == (4, "") and "scope admin" in early.err
    made = keys("create", "boss", "--scope", "admin")
    boss = made.out.strip()
    assert made.status == 0 and bearer.is_key(boss) and "Nobody can show it again." in made.err
    assert "wants a key" in keys().err
    asked = ("create", "ci", "--scope", "predict", "--scope", "read", "--expires-in-days", "30", "--json")
    ci = json.loads(keys(*asked, key=boss).out)
    assert (ci["scopes"], ci["created_by"]) == (["predict", "read"], "boss")
    refused = keys(key=ci["key"])
    assert refused.status == 4 and "The key ci may not do this: it lacks the scope admin." in refused.err
    listed = keys("list", key=boss)
    assert "boss" in listed.out and "predict, read" in listed.out and ci["key"] not in listed.out
    assert "there is no key nobody" in keys("revoke", "nobody", key=boss).err
    assert keys("revoke", "ci", key=boss).status == 0
    assert "last key that can administer" in keys("revoke", "boss", key=boss).err
    assert json.loads(keys("revoke", "boss", "--force", "--json", key=boss).out)["revoked"] is True
    again = json.loads(keys("list", "--revoked", "--json").out)
    assert [(item["name"], item["status"]) for item in again] == [("ci", "revoked"), ("boss", "revoked")]
    with Tunesmith(own_service.url, ci["key"]) as client:
        assert client.current_key().name == "anonymous"
    boss = keys("create", "boss", "--scope", "admin").out.strip()
    with Tunesmith(own_service.url, ci["key"]) as client, pytest.raises(ApiError, match="no valid key"):
        client.current_key()
