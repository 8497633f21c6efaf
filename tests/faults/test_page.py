"""The page about reliability: it speaks of every promise, names tests that exist, and has a result."""

import re
from pathlib import Path

from tests.faults.page import BLOCK, PAGE, PROMISES, fields_by_promise
from tests.faults.scenario import all_scenarios

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/.]+)`", PAGE.read_text())
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_promise_is_on_the_page_and_put_to_the_test() -> None:
    page = PAGE.read_text()
    assert [promise for promise in PROMISES if f"| **{promise}** |" not in page] == []
    assert {promise for promise, fields in fields_by_promise(all_scenarios()).items() if fields == 0} == set()


def test_the_last_result_is_without_violations() -> None:
    found = BLOCK.search(PAGE.read_text())
    assert found is not None
    counted = dict(re.findall(r"\| (P\d+) \| ([1-9]\d*) \| 0 \|", found[0]))
    assert tuple(counted) == PROMISES
