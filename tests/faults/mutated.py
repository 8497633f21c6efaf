"""``python -m tests.faults.mutated URL JUDGE [MODULE GUARD WITHOUT]``: judges the store with one guard taken out."""

import importlib
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

UNNOTICED, NOTICED = 0, 3
ALWAYS_THE_SAME = {"derandomize": True, "database": None, "deadline": None, "report_multiple_bugs": False}
RACE_SECONDS = 10.0
RACES = (
    "test_workers_share_the_queue_without_taking_a_job_twice",
    "test_every_expired_lease_is_taken_back_once",
    "test_every_unrung_job_is_rung_once",
    "test_events_are_numbered_without_gaps_under_concurrency",
    "test_versions_of_one_model_are_numbered_without_gaps",
    "test_of_cancel_and_publish_exactly_one_wins",
    "test_a_stop_and_publishing_meet_without_a_trace_lost",
    "test_of_two_conditional_moves_of_an_alias_one_wins",
)
ROOT = Path(__file__).resolve().parents[2]


class Mutator(SourceFileLoader):
    """Loads one module with a piece of its source replaced."""

    def __init__(self, module: str, guard: str, without: str) -> None:
        super().__init__(module, str(ROOT.joinpath(*module.split(".")).with_suffix(".py")))
        self._guard = guard
        self._without = without

    def get_code(self, fullname: str) -> CodeType:
        """Compile the changed source; the cache knows only the true one."""
        source = Path(self.path).read_text()
        if source.count(self._guard) != 1:
            raise LookupError(f"{fullname} has {source.count(self._guard)} times: {self._guard}")
        return compile(source.replace(self._guard, self._without), self.path, "exec", dont_inherit=True)

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: object = None) -> ModuleSpec | None:
        """Offer itself for its module."""
        return spec_from_file_location(name, self.path, loader=self) if name == self.name else None


def main(url: str, judge: str, *mutant: str) -> int:
    """Walk at random, always the same way, or race; 3 when something was noticed."""
    if mutant:
        sys.meta_path.insert(0, Mutator(*mutant))
        importlib.import_module(mutant[0])
    engine = importlib.import_module("app.store.engine")
    store = importlib.import_module("tests.app.conftest").Store(engine.Database(url))
    try:
        JUDGES[judge](store)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, the change was noticed
        traceback.print_exc()
        return NOTICED
    return UNNOTICED


def walk(store: Any) -> None:
    """Use every verb in an order that nobody chose, from one thread."""
    machine = importlib.import_module("tests.app.store.test_jobs_machine")
    quick = [importlib.import_module("hypothesis").Phase.generate]
    machine.walk(store, max_examples=100, stateful_step_count=40, phases=quick, **ALWAYS_THE_SAME)


def race(store: Any) -> None:
    """Use the verbs that meet in one row from many threads at once, until something is wrong or time is over."""
    races = importlib.import_module("tests.app.store.test_races")
    end = time.monotonic() + RACE_SECONDS
    while time.monotonic() < end:
        for name in RACES:
            store.forget_jobs()
            getattr(races, name)(store)


JUDGES: dict[str, Callable[[Any], None]] = {"walk": walk, "race": race}

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
