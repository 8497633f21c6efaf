"""The versions in memory under a limit of bytes: the longest unused ones go first, one in use never.

What is left of the limit may be reserved for the sessions that compute texts that come alone; those go before all else.
"""

from collections import OrderedDict
from collections.abc import Set

from app.errors import Unavailable
from app.logging import get_logger
from app.schemas.jobs import ServedFormat
from app.serving.loaded import LoadedVersion
from app.settings import MIB
from app.telemetry import MODEL_CACHE_BYTES, MODEL_CACHE_EVICTIONS

log = get_logger(__name__)

Key = tuple[str, int, ServedFormat]
"""A model, one of its versions, and one of the formats of that."""


class Cache:
    """Holds what is loaded; used from one event loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Bytes that what is loaded may take together."""
        self._held: OrderedDict[Key, LoadedVersion] = OrderedDict()
        self.bytes = 0
        """Of all formats of all versions together."""
        self.lone_bytes = 0
        """Reserved for sessions that compute texts that come alone."""
        self.pinned: Set[tuple[str, int]] = frozenset()
        """Versions that go last: only when nothing else is left to go."""

    def __contains__(self, key: Key) -> bool:
        return key in self._held

    def __len__(self) -> int:
        return len(self._held)

    @property
    def is_over(self) -> bool:
        """Whether versions in use keep more in memory than there should be."""
        return self.bytes + self.lone_bytes > self.limit

    def versions(self) -> list[LoadedVersion]:
        """Give what is loaded, the longest unused first; may be asked from any thread."""
        return list(self._held.values())

    def get(self, key: Key) -> LoadedVersion | None:
        """Give a version if it is loaded; it then counts as just used."""
        version = self._held.get(key)
        if version is not None:
            self._held.move_to_end(key)
        return version

    def add(self, key: Key, version: LoadedVersion) -> None:
        """Make room and let the version be seen. Raises Unavailable ``model-too-large``."""
        self.make_room(key, version.bytes)
        self._held[key] = version
        self._count(version.bytes)
        lone = version.predictor.lone
        if lone is not None and self.bytes + self.lone_bytes + lone.bytes <= self.limit:
            lone.allow()
            self._count(0, lone.bytes)

    def make_room(self, key: Key, bytes: int) -> bool:
        """Let idle versions go until ``bytes`` more fit in; says whether any went. Raises Unavailable."""
        if bytes > self.limit:
            raise Unavailable(
                f"{key[0]}:{key[1]} takes {bytes // MIB} MB, more than the whole cache of loaded versions.",
                "model-too-large",
                "Raise TUNESMITH_SERVE_CACHE_MB.",
            )
        return self.shrink(self.limit - bytes)

    def shrink(self, most: int | None = None) -> bool:
        """Let idle versions go until at most ``most`` bytes, by default the limit, are held; says whether any went."""
        most = self.limit if most is None else most
        closed = self._forbid_lone(most)
        idle = [key for key, version in self._held.items() if version.users == 0]
        idle.sort(key=lambda key: key[:2] in self.pinned)  # stable: the longest unused stay first
        gone = 0
        while gone < len(idle) and self.bytes > most:
            self._drop(idle[gone])
            gone += 1
        return closed or gone > 0

    def clear(self) -> None:
        """Let everything go."""
        self._held.clear()
        self._count(-self.bytes, -self.lone_bytes)

    def _forbid_lone(self, most: int) -> bool:
        """Give up reservations until at most ``most`` bytes are held with them; says whether any was."""
        closed = False
        for version in self._held.values():
            lone = version.predictor.lone
            if self.bytes + self.lone_bytes > most and lone is not None and lone.is_allowed:
                lone.forbid()
                self._count(0, -lone.bytes)
                closed = True
        return closed

    def _count(self, bytes: int, lone_bytes: int = 0) -> None:
        self.bytes += bytes
        self.lone_bytes += lone_bytes
        MODEL_CACHE_BYTES.set(self.bytes + self.lone_bytes)

    def _drop(self, key: Key) -> None:
        version = self._held.pop(key)
        lone = version.predictor.lone
        self._count(-version.bytes, -lone.bytes if lone is not None and lone.is_allowed else 0)
        MODEL_CACHE_EVICTIONS.inc()
        log.info("Version unloaded", model=key[0], version=key[1], format=key[2])
