"""What the campaign prints: a line as soon as something is judged, and a table of it all at the end."""

import sys
from collections import Counter
from collections.abc import Sequence

from tests.faults.campaign import Result
from tests.faults.checker import Violation


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def tell(result: Result) -> None:
    """Print what came of one field."""
    verdict = "kept" if result.passed else "BROKEN"
    say(f"{verdict:7}{result.seconds:6.1f} s  {result.database:9} {result.name}  [{result.promises}]")
    for violation in result.violations:
        say(f"        ({violation.rule}) {violation.job_id}: {violation.detail}")
    if result.surprise:
        say("        " + result.surprise.replace("\n", "\n        "))


def tell_control(found: Sequence[Violation]) -> None:
    """Print what the same checker says of the naive design."""
    rules = Counter(violation.rule for violation in found)
    broken = ", ".join(f"({rule}) {count} times" for rule, count in sorted(rules.items()))
    say(f"control: the naive design breaks {broken}" if found else "control: NOTHING found in the naive design")


def summary(results: Sequence[Result], seed: int, seconds: float, cpu_seconds: float) -> None:
    """Print the totals."""
    faults: Counter[str] = sum((result.injected or Counter({result.name: 1}) for result in results), Counter())
    say("")
    for name, count in sorted(faults.items()):
        say(f"{count:6}  {name}")
    broken = sum(len(result.violations) for result in results)
    surprises = sum(bool(result.surprise) for result in results)
    say("")
    jobs = sum(result.jobs for result in results)
    say(f"{len(results)} fields, {jobs} jobs, {faults.total()} faults in {seconds:.0f} s, {cpu_seconds:.0f} s of CPU")
    say(f"{broken} violations, {surprises} surprises; seed {seed}")
