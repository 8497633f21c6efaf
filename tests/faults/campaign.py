"""The campaign: every scenario on every database it is for, side by side, each judged by the checker at its end."""

import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from app.errors import AppError
from tests.faults import checker, history
from tests.faults.checker import Violation
from tests.faults.field import Field
from tests.faults.ground import Ground
from tests.faults.history import History
from tests.faults.nemesis import Nemesis
from tests.faults.patience import expect_a_crowd
from tests.faults.scenario import Scenario, all_scenarios

SIDE_BY_SIDE = 6
"""Fields at a time: they mostly wait for leases to run out."""
EVERY = "P1-P12"
GRACE_SECONDS = 5.0
"""How long files that nothing refers to may lie about before they count."""


@dataclass
class Result:
    """What came of one scenario on one database."""

    name: str
    promises: str
    database: str
    seconds: float = 0.0
    jobs: int = 0
    faults: int = 1
    injected: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    surprise: str = ""
    """What went otherwise than the scenario says; empty: nothing."""

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations and not self.surprise


def run(
    ground: Ground, seed: int, databases: Sequence[str], names: Iterable[str] = (), tell: Callable[[Result], None] = id
) -> list[Result]:
    """Run scenarios, all or those whose name holds one of ``names``: long ones first, else in the seed's order."""
    wanted = [
        (scenario, database)
        for scenario in all_scenarios()
        for database in scenario.databases
        if database in databases and (not names or any(name in scenario.name for name in names))
    ]
    random.Random(seed).shuffle(wanted)
    wanted.sort(key=lambda task: not task[0].long)
    if len(wanted) > 1:
        expect_a_crowd()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as crew:

        def one(task: tuple[Scenario, str]) -> Result:
            result = play(ground, *task)
            tell(result)
            return result

        return list(crew.map(one, wanted))


def play(ground: Ground, scenario: Scenario, database: str) -> Result:
    """Play one scenario in a field of its own and judge what it leaves."""
    result = Result(scenario.name, scenario.promises, database)
    began = time.monotonic()
    with ground.field(database, own_server=scenario.own_server) as place:
        try:
            scenario.act(place)
        except Exception as error:  # noqa: BLE001 - whatever it is, the campaign goes on and tells
            result.surprise = "".join(traceback.format_exception(error)[-2:])
        try:
            left = _left_by(place)
            result.jobs = len(left.accepted)
            result.violations = checker.check(left)
        except AppError as error:
            result.surprise += f"What is left cannot be read: {error.detail}"
        result.faults = max(1, len(place.injected))
        result.injected = Counter(place.injected)
    result.seconds = time.monotonic() - began
    return result


def rage(ground: Ground, seed: int, database: str, seconds: float) -> Result:
    """Let the nemesis loose on one field for a while."""

    def act(place: Field) -> None:
        Nemesis(place, seed).rage(seconds)

    return play(ground, Scenario(f"everything at once for {seconds:.0f} s", EVERY, act), database)


def _left_by(place: Field) -> History:
    """Give the workers a while to tidy up, end everything, and read what is there."""
    with suppress(AssertionError):
        place.until(lambda: not history.strays(place), "nothing is left behind", GRACE_SECONDS)
    place.end_workers()
    return history.read(place)
