"""``python -m tests.faults``: hurt the service in every way we know, and count the broken promises."""

import argparse
import secrets
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.faults import campaign, effort, mutants, naive, page, report
from tests.faults.campaign import Result
from tests.faults.ground import Ground


def main() -> int:
    """Run the campaign; 0 when every promise was kept, and the naive design broke some."""
    options = _options()
    databases = options.database or ["sqlite", "postgres"]
    report.say(f"seed {options.seed}")
    effort.adopt_orphans()
    began = time.monotonic()
    with Ground(postgres="postgres" in databases, real=True) as ground:
        results = campaign.run(ground, options.seed, databases, options.only, report.tell)
        spent = effort.cpu_seconds()
        report.say(f"{len(results)} scenarios in {time.monotonic() - began:.0f} s, {spent:.0f} s of CPU")
        if not options.only:
            results += _rage(ground, options.seed, databases, options.rage)
        weak = not options.only and not (_control(ground) & _mutants(ground, databases))
    seconds = time.monotonic() - began
    report.summary(results, options.seed, seconds, effort.cpu_seconds())
    passed = not weak and bool(results) and all(result.passed for result in results)
    if options.write and passed:
        page.write(results, options.seed, seconds)
    return int(not passed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="repeats the choices of a run")
    parser.add_argument("--only", action="append", default=[], metavar="WORDS", help="scenarios with these words")
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append", help="one kind only")
    parser.add_argument("--rage", type=float, default=40.0, metavar="SECONDS", help="of everything at once")
    parser.add_argument("--write", action="store_true", help=f"put the result into {page.PAGE.name}")
    return parser.parse_args()


def _rage(ground: Ground, seed: int, databases: list[str], seconds: float) -> list[Result]:
    with ThreadPoolExecutor(len(databases)) as crew:
        results = list(crew.map(lambda database: campaign.rage(ground, seed, database, seconds), databases))
    for result in results:
        report.tell(result)
    return results


def _control(ground: Ground) -> bool:
    """Say whether the checker finds fault with the naive design, as it must."""
    found = naive.control(ground.folder)
    report.tell_control(found)
    return {"a", "b"} <= {violation.rule for violation in found}


def _mutants(ground: Ground, databases: list[str]) -> bool:
    """Say whether each guard of the store is watched over by the random walk."""
    left = mutants.survivors(ground, databases)
    report.say(f"mutants: {len(mutants.MUTANTS)} guards taken out on {' and '.join(databases)}, {len(left)} unnoticed")
    for name in left:
        report.say(f"        {name}")
    return not left


if __name__ == "__main__":
    sys.exit(main())
