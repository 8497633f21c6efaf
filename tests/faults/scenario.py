"""A scenario: one fault, injected at one instant into a field of its own, and what must come of it."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.field import Field

Act = Callable[[Field], None]
BOTH = ("sqlite", "postgres")


@dataclass(frozen=True)
class Scenario:
    """Named as the table shows it."""

    name: str
    promises: str
    act: Act
    databases: tuple[str, ...] = BOTH
    own_server: bool = False
    """Whether the database server itself is hurt."""
    long: bool = False
    """Whether it takes half a minute or more: it then begins early, so that nothing waits for it at the end."""


SCENARIOS: list[Scenario] = []
MODULES = ("crashes", "wishes", "queues", "instants", "stores", "databases", "memory", "arithmetic")


def all_scenarios() -> list[Scenario]:
    """Give every scenario that the modules of this folder define."""
    for module in MODULES:
        importlib.import_module(f"tests.faults.{module}")
    return SCENARIOS


def scenario(
    name: str, promises: str, *, databases: tuple[str, ...] = BOTH, own_server: bool = False, long: bool = False
) -> Callable[[Act], Act]:
    """Add a scenario to the campaign."""

    def add(act: Act) -> Act:
        SCENARIOS.append(Scenario(name, promises, act, databases, own_server, long))
        return act

    return add
