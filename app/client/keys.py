"""API keys: who may ask, and what each may do."""

from collections.abc import Iterator, Sequence

from app.client.calls import Calls
from app.schemas.keys import ApiKey, CurrentKey, KeyRequest, KeyScope, NewApiKey


class KeyCalls(Calls):
    """Named keys; all but ``current_key`` want the scope ``admin``."""

    def create_key(self, name: str, scopes: Sequence[KeyScope], *, expires_in_days: int | None = None) -> NewApiKey:
        """Make a key; ``key`` of what is given is the key itself, which nobody can show again."""
        wish = KeyRequest(name=name, scopes=list(scopes), expires_in_days=expires_in_days)
        return self._post(NewApiKey, "/keys", json=wish.model_dump(mode="json"), idempotent=False)

    def keys(self, *, revoked: bool = False, limit: int | None = None) -> Iterator[ApiKey]:
        """Go through the keys, newest first; those that were taken back only with ``revoked``."""
        return self._pages(ApiKey, "/keys", limit, {"revoked": "true"} if revoked else {})

    def revoke_key(self, key: ApiKey | str, *, force: bool = False) -> None:
        """Take a key (or ``"key_..."``) back; the last that can administer only with ``force``."""
        key_id = key.id if isinstance(key, ApiKey) else key
        self._transport.send("DELETE", f"/keys/{key_id}", params={"force": "true"} if force else {})

    def current_key(self) -> CurrentKey:
        """Ask whom the service takes this client for, and what it may do."""
        return self._get(CurrentKey, "/keys/current")
