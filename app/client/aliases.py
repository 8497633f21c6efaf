"""Aliases: what a name means now, what it may mean, and how its calls are split."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.client.calls import Calls
from app.schemas.models import Alias
from app.schemas.promotions import AliasMoved, AliasPolicy, Promotion, PromotionPolicy, RolledBack
from app.schemas.traffic import AliasTraffic, TrafficReport, TrafficWish


class AliasCalls(Calls):
    """Movable names of versions."""

    def set_alias(
        self, name: str, alias: str, version: int, *, force: bool = False, reason: str | None = None
    ) -> Alias:
        """Point an alias at a version; ``champion`` is what a plain model name means.

        Raises ApiError ``promotion-blocked`` when its policy says no; ``force`` with a ``reason`` moves all the same.
        """
        wish: dict[str, Any] = {"version": version}
        wish |= {"force": True} if force else {}
        wish |= {} if reason is None else {"reason": reason}
        return self._put(Alias, f"/models/{name}/aliases/{alias}", json=wish)

    def check_alias(self, name: str, alias: str, version: int) -> Promotion:
        """Ask whether an alias may be moved, and move nothing."""
        return self._post(Promotion, f"/models/{name}/aliases/{alias}/check", json={"version": version})

    def roll_back(self, name: str, alias: str, *, reason: str | None = None) -> RolledBack:
        """Point an alias at the version that it named before."""
        params = {} if reason is None else {"reason": reason}
        return self._post(RolledBack, f"/models/{name}/aliases/{alias}/rollback", params=params)

    def alias_history(self, name: str, alias: str, *, limit: int | None = None) -> Iterator[AliasMoved]:
        """Go through the moves of an alias, newest first."""
        return self._pages(AliasMoved, f"/models/{name}/aliases/{alias}/history", limit)

    def policy(self, name: str, alias: str) -> AliasPolicy:
        """Get what a version must keep before an alias may name it."""
        return self._get(AliasPolicy, f"/models/{name}/aliases/{alias}/policy")

    def set_policy(self, name: str, alias: str, policy: PromotionPolicy | Mapping[str, Any]) -> AliasPolicy:
        """Say what a version must keep before an alias may name it."""
        wish = PromotionPolicy.model_validate(policy).model_dump(mode="json", exclude_unset=True)
        return self._put(AliasPolicy, f"/models/{name}/aliases/{alias}/policy", json=wish)

    def delete_policy(self, name: str, alias: str) -> None:
        """Let an alias name any version again."""
        self._transport.send("DELETE", f"/models/{name}/aliases/{alias}/policy")

    def traffic(self, name: str, alias: str) -> AliasTraffic:
        """Get how the calls of an alias are split; raises ApiError ``traffic-not-found`` where they are not."""
        return self._get(AliasTraffic, f"/models/{name}/aliases/{alias}/traffic")

    def set_traffic(self, name: str, alias: str, wish: TrafficWish | Mapping[str, Any]) -> AliasTraffic:
        """Split the calls of an alias; what was said before is replaced."""
        body = TrafficWish.model_validate(wish).model_dump(mode="json", exclude_unset=True)
        return self._put(AliasTraffic, f"/models/{name}/aliases/{alias}/traffic", json=body)

    def traffic_report(self, name: str, alias: str) -> TrafficReport:
        """Get what the shadows of an alias would have said."""
        return self._get(TrafficReport, f"/models/{name}/aliases/{alias}/traffic/report")

    def clear_traffic(self, name: str, alias: str, *, reason: str | None = None) -> None:
        """Let the version that an alias names answer all its calls again."""
        params = {} if reason is None else {"reason": reason}
        self._transport.send("DELETE", f"/models/{name}/aliases/{alias}/traffic", params=params)
