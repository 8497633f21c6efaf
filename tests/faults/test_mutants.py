"""Mutants fit the store as it is: a guard that was rewritten must be rewritten in its mutant too."""

import pytest

from tests.faults.mutants import MUTANTS, Mutant
from tests.faults.mutated import Mutator


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_takes_its_guard_out_of_the_store(mutant: Mutant) -> None:
    module = f"app.store.{mutant.module}"
    assert Mutator(module, mutant.guard, mutant.without).get_code(module)
