"""``python -m tests.swap``: move an alias under full load, kill a process meanwhile, serve many models, and count."""

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from app.queue.embedded import EmbeddedBroker
from app.settings import MIB
from tests.swap.ground import Ground, ground
from tests.swap.scenarios import CONVERGENCE_SECONDS, SLACK_MB, TOLD_SECONDS, kill_during_swap, many_models, swap

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run everything; 0 when every promise was kept."""
    options = _options()
    kept = []
    with tempfile.TemporaryDirectory() as folder, ground(Path(folder), ballast=options.ballast_mb * MIB) as made:
        ports = made.serve_two()
        kept.append(_swap(made, ports, options))
        kept.append(_told(made, Path(folder), options))
        kept.append(_kill(made, ports, options.clients))
        kept.append(_many(made, options))
    return int(not all(kept))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.swap", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load")
    parser.add_argument("--moves", type=int, default=20, help="of the alias in that time")
    parser.add_argument("--clients", type=int, default=16, help="that ask without a pause")
    parser.add_argument("--ballast-mb", type=int, default=8, help="what each of the two versions weighs")
    parser.add_argument("--models", type=int, default=200, help="on one server under a limit")
    parser.add_argument("--limit-mb", type=int, default=128, help="of the memory for them")
    return parser.parse_args()


def _swap(made: Ground, ports: list[int], options: argparse.Namespace) -> bool:
    found = swap(made, ports, clients=options.clients, seconds=options.seconds, moves=options.moves)
    return _tell(
        f"{found.moves} moves in {found.seconds:.0f} s under {options.clients} clients of {len(ports)} processes",
        {
            f"{found.requests} requests, none failed, each answer whole": not found.failures,
            f"both versions answered: {found.versions}": set(found.versions) == {1, 2},
            f"the old version answered for {found.lag:.2f} s after a move at most": found.lag <= CONVERGENCE_SECONDS,
        },
        f"slowest answer {found.slowest * 1000:.0f} ms; failures: {found.failures[:3]}",
    )


def _told(made: Ground, folder: Path, options: argparse.Namespace) -> bool:
    """Move by the word of a broker alone: the processes do not look by themselves for an hour."""
    broker = EmbeddedBroker(folder / "broker")
    broker.start()
    try:
        ports = made.serve_two(broker_url=broker.url, registry_refresh_seconds=3600)
        found = swap(made, ports, clients=options.clients, seconds=options.seconds / 3, moves=options.moves // 2)
    finally:
        broker.stop()
    return _tell(
        f"{found.moves} moves in {found.seconds:.0f} s, told by a broker",
        {
            f"{found.requests} requests, none failed, each answer whole": not found.failures,
            f"the old version answered for {found.lag:.2f} s after a move at most": found.lag <= TOLD_SECONDS,
        },
        f"slowest answer {found.slowest * 1000:.0f} ms; failures: {found.failures[:3]}",
    )


def _kill(made: Ground, ports: list[int], clients: int) -> bool:
    found = kill_during_swap(made, ports, clients=clients)
    return _tell(
        "kill -9 of a process during a swap",
        {
            f"the other process failed none of {found.requests_elsewhere} requests": not found.failures_elsewhere,
            f"after its restart it answered with version {found.first_versions}": found.first_versions == {2},
        },
        f"failures: {found.failures_elsewhere[:3]}",
    )


def _many(made: Ground, options: argparse.Namespace) -> bool:
    each_mb = max(0.5, 3 * options.limit_mb / options.models)
    port = made.serve(serve_cache_mb=options.limit_mb)
    found = many_models(made, port, models=options.models, limit_mb=options.limit_mb, each_mb=each_mb, rounds=3)
    return _tell(
        f"{found.models} models of {each_mb:.1f} MB on one server, at most {found.limit_mb} MB of them in memory",
        {
            f"{found.wrong} wrong answers": found.wrong == 0,
            f"{found.evictions:.0f} were let go": found.evictions > 0,
            f"the process grew by {found.grown_mb:.0f} MB, from {found.before_mb:.0f}": found.grown_mb
            <= found.limit_mb + SLACK_MB,
        },
    )


def _tell(title: str, promises: dict[str, bool], note: str = "") -> bool:
    console.print(f"[bold]{title}[/]")
    for promise, held in promises.items():
        console.print(f"  {'kept  ' if held else 'BROKEN'}  {promise}", markup=False)
    if note:
        console.print(f"          {note}", markup=False)
    return all(promises.values())


if __name__ == "__main__":
    sys.exit(main())
