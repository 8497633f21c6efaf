"""``python -m tests.faults.mutated URL [MODULE GUARD WITHOUT]``: walks over the store with one guard taken out."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType

import pytest

UNNOTICED, NOTICED = 0, 3
ALWAYS_THE_SAME = {"derandomize": True, "database": None, "deadline": None, "report_multiple_bugs": False}
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


def main(url: str, *mutant: str) -> int:
    """Walk, always the same way; 3 when something was noticed."""
    if mutant:
        sys.meta_path.insert(0, Mutator(*mutant))
        importlib.import_module(mutant[0])
    engine = importlib.import_module("app.store.engine")
    machine = importlib.import_module("tests.app.store.test_jobs_machine")
    store = importlib.import_module("tests.app.conftest").Store(engine.Database(url))
    hypothesis = importlib.import_module("hypothesis")
    quick = [hypothesis.Phase.generate]
    try:
        machine.walk(store, max_examples=100, stateful_step_count=40, phases=quick, **ALWAYS_THE_SAME)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever it is, the change was noticed
        traceback.print_exc()
        return NOTICED
    return UNNOTICED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
