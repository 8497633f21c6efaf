"""The last result of the campaign, as the page about reliability shows it."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.campaign import EVERY, Result
from tests.faults.scenario import Scenario

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "reliability.md"
BLOCK = re.compile(r"(?<=<!-- result -->\n).*?(?=<!-- end of result -->)", re.DOTALL)
PROMISES = tuple(f"P{number}" for number in range(1, 13))


def fields_by_promise(scenarios: Sequence[Scenario]) -> dict[str, int]:
    """Count the fields that put each promise to the test: scenarios times databases."""
    return {
        promise: sum(len(scenario.databases) for scenario in scenarios if promise in scenario.promises.split())
        for promise in PROMISES
    }


def write(results: Sequence[Result], seed: int, seconds: float) -> None:
    """Put a result into the page."""
    jobs, faults = sum(result.jobs for result in results), sum(result.faults for result in results)
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    rows = [
        f"| {promise} | {sum(_about(result.promises, promise) for result in results)} | 0 |" for promise in PROMISES
    ]
    lines = [
        f"{day}, seed {seed}: {len(results)} services hurt, {jobs} jobs, {faults} faults, 0 violations, "
        f"{seconds / 60:.0f} minutes.",
        "",
        "| promise | services hurt | violations |",
        "|---|---|---|",
        *rows,
        "",
    ]
    PAGE.write_text(BLOCK.sub("\n".join(lines), PAGE.read_text()))


def _about(promises: str, promise: str) -> bool:
    return promise in promises.split() or promises == EVERY
