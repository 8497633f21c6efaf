"""The canaries of aliases: which calls are theirs, and whether they can answer them here."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from app.schemas.predictions import Prefer
from app.serving.loaded import LoadedVersion
from app.serving.registry import Meaning, RegistryView
from app.serving.split import falls_to
from app.serving.trials import Number, Trials
from app.telemetry import CANARY_CALLS

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
    canary: int
    percent: float
    is_loaded: bool
    """Whether the canary is."""
    refused: str | None
    """The code of the reason why it cannot be."""


class Canaries:
    """Chooses the calls of canaries; used from one event loop."""

    def __init__(self, registry: RegistryView, trials: Trials, is_loaded: Callable[[str, int], bool]) -> None:
        self._registry = registry
        self._trials = trials
        self._is_loaded = is_loaded

    def choose(self, meaning: Meaning, prefer: Prefer | None, caller: Caller) -> LoadedVersion | None:
        """Give the canary if the call is one of its calls and it can answer them."""
        canary = None if meaning.traffic is None else meaning.traffic.canary
        if canary is None or not falls_to(canary, meaning.model, meaning.alias, caller()):
            return None
        version = self._trials.get(meaning.model, canary.version, prefer)
        outcome = "fallback" if version is None else "canary"
        CANARY_CALLS.labels(meaning.model, meaning.alias, str(canary.version), outcome).inc()
        return version

    def follow(self, in_use: Collection[str | None], pinned: Collection[str | None]) -> set[Number]:
        """Load the canaries of names that are in use, and give those of pinned names, which are to be pinned too."""
        tried, kept = set(), set()
        for meaning, number, _ in self._all():
            tried.add(number)
            if meaning.name in pinned:
                kept.add(number)
            if meaning.name in in_use:
                self._trials.get(*number)
        self._trials.keep(tried)
        return kept

    def standing(self) -> list[Split]:
        """Tell how calls are split, and whether they are here; may be asked from any thread."""
        return [
            Split(
                meaning.model,
                meaning.alias,
                meaning.version,
                number[1],
                percent,
                self._is_loaded(*number),
                self._trials.refusal(*number),
            )
            for meaning, number, percent in self._all()
        ]

    def behind(self) -> list[str]:
        """Tell in words which canaries cannot answer; may be asked from any thread."""
        return [
            f"{split.model}@{split.alias} has version {split.canary} for a canary, which is refused ({split.refused}); "
            f"version {split.version} answers all calls"
            for split in self.standing()
            if split.refused is not None
        ]

    def _all(self) -> Iterator[tuple[Meaning, Number, float]]:
        for meaning in self._registry.splits():
            canary = None if meaning.traffic is None else meaning.traffic.canary
            if canary is not None:
                yield meaning, (meaning.model, canary.version), canary.percent
