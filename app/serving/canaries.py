"""The canaries of aliases: which calls are theirs, and whether they can answer them here."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from app.schemas.predictions import Prefer
from app.schemas.traffic import Canary, Shadow
from app.serving.loaded import LoadedVersion
from app.serving.registry import Meaning, RegistryView
from app.serving.split import falls_to
from app.serving.trials import Number, Trials
from app.telemetry import CANARY_CALLS

Role = Literal["canary", "shadow"]
Caller = Callable[[], str | None]
"""Gives the routing key of a caller, if there is one; asked only where calls are split."""


def nobody() -> None:
    """Give the key of a caller that has none."""


@dataclass(frozen=True, slots=True)
class Split:
    """How the calls of one alias are split, and whether they are here."""

    model: str
    alias: str
    version: int
    """What the alias names."""
    tried: int
    role: Role
    percent: float
    is_loaded: bool
    """Whether the tried version is."""
    refused: str | None
    """The code of the reason why it cannot be."""


class Canaries:
    """Chooses the calls of canaries, and knows how it stands with all that is tried; used from one event loop."""

    def __init__(
        self, registry: RegistryView, trials: Trials, shadows: Trials, is_loaded: Callable[[str, int], bool]
    ) -> None:
        self._registry = registry
        self._trials: dict[Role, Trials] = {"canary": trials, "shadow": shadows}
        self._is_loaded = is_loaded

    def choose(self, meaning: Meaning, prefer: Prefer | None, caller: Caller) -> LoadedVersion | None:
        """Give the canary if the call is one of its calls and it can answer them."""
        canary = None if meaning.traffic is None else meaning.traffic.canary
        if canary is None or not falls_to(canary, meaning.model, meaning.alias, caller()):
            return None
        version = self._trials["canary"].get(meaning.model, canary.version, prefer)
        outcome = "fallback" if version is None else "canary"
        CANARY_CALLS.labels(meaning.model, meaning.alias, str(canary.version), outcome).inc()
        return version

    def follow(self, in_use: Collection[str | None], pinned: Collection[str | None]) -> set[Number]:
        """Load the canaries of names that are in use, and give those of pinned names, which are to be pinned too."""
        tried: dict[Role, set[Number]] = {"canary": set(), "shadow": set()}
        kept = set()
        for meaning, role, part in self._all():
            number = (meaning.model, part.version)
            tried[role].add(number)
            if role == "canary" and meaning.name in pinned:
                kept.add(number)
            if role == "canary" and meaning.name in in_use:
                self._trials[role].get(*number)
        for role, numbers in tried.items():
            self._trials[role].keep(numbers)
        return kept

    def standing(self) -> list[Split]:
        """Tell how calls are split, and whether they are here; may be asked from any thread."""
        return [
            Split(
                meaning.model,
                meaning.alias,
                meaning.version,
                part.version,
                role,
                part.percent,
                self._is_loaded(meaning.model, part.version),
                self._trials[role].refusal(meaning.model, part.version),
            )
            for meaning, role, part in self._all()
        ]

    def behind(self) -> list[str]:
        """Tell in words which canaries cannot answer; may be asked from any thread."""
        return [
            f"{split.model}@{split.alias} has version {split.tried} for a canary, which is refused ({split.refused}); "
            f"version {split.version} answers all calls"
            for split in self.standing()
            if split.role == "canary" and split.refused is not None
        ]

    def _all(self) -> Iterator[tuple[Meaning, Role, Canary | Shadow]]:
        for meaning in self._registry.splits():
            if meaning.traffic is None:
                continue
            if meaning.traffic.canary is not None:
                yield meaning, "canary", meaning.traffic.canary
            if meaning.traffic.shadow is not None:
                yield meaning, "shadow", meaning.traffic.shadow
