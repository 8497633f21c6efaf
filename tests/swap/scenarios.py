"""The promises of a swap, tried out: no failed call, nothing old for long, nothing lost by a kill."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from app.settings import MIB
from tests.swap.crowd import Answer, Crowd
from tests.swap.ground import MODEL, TEXTS, Ground

CONVERGENCE_SECONDS = 2.0
"""How long a process may go on answering with the old version after a move; loading the new one comes on top."""
TOLD_SECONDS = 0.5
"""The same where a broker tells the processes."""
SLACK_MB = 40
"""What a process may take beside the models: buffers of requests, threads, the memory of the one that is loading."""


@dataclass(frozen=True, slots=True)
class Swapped:
    """What clients saw while an alias moved."""

    requests: int
    seconds: float
    moves: int
    failures: list[Answer]
    versions: dict[int, int]
    """Answers by version."""
    lag: float
    """The longest time after a move at which a request began that the old version answered."""
    slowest: float
    """Seconds of the slowest answer."""


def swap(ground: Ground, ports: list[int], *, clients: int, seconds: float, moves: int) -> Swapped:
    """Move the alias ``moves`` times within ``seconds``, while clients ask every process without a pause."""
    for loaded in (2, 1):  # so that no move waits for a version to be loaded
        ground.move(ports[0], loaded)
        for port in ports:
            wait_until_answered(port, loaded)
    moved, version, began = [], 1, time.monotonic()
    with Crowd(ports, clients, MODEL, TEXTS, ground.expected) as crowd:
        for move in range(1, moves + 1):
            _wait_until(began + seconds * move / (moves + 1))
            version = 3 - version
            asked = time.monotonic()
            moved.append(Moved(asked, ground.move(ports[move % len(ports)], version), version))
        _wait_until(began + seconds)
    ended = time.monotonic()
    return Swapped(
        requests=len(crowd.answers),
        seconds=ended - began,
        moves=moves,
        failures=crowd.failures,
        versions=dict(Counter(answer.version for answer in crowd.answers)),
        lag=max(_lag(crowd, port, place, moved) for port in ports for place in range(moves)),
        slowest=max(answer.ended - answer.began for answer in crowd.answers),
    )


@dataclass(frozen=True, slots=True)
class Moved:
    """One move of the alias."""

    asked: float
    done: float
    """When the service had said so; processes may answer with the version a little earlier."""
    version: int


def _lag(crowd: Crowd, port: int, place: int, moves: list[Moved]) -> float:
    """Give how long after a move, and before the next is asked for, a request began that another version answered."""
    moved = moves[place]
    until = moves[place + 1].asked if place + 1 < len(moves) else float("inf")
    old = [
        answer.began - moved.done
        for answer in crowd.of(port, moved.done)
        # Whoever was answered after the next move was asked for may have had the next version, and rightly so.
        if answer.ended < until and answer.version not in (moved.version, 0)
    ]
    return max(old, default=0.0)


@dataclass(frozen=True, slots=True)
class Killed:
    """What was seen of a process that was killed while it swapped."""

    failures_elsewhere: list[Answer]
    first_versions: set[int]
    """Which versions answered the first calls after the restart."""
    requests_elsewhere: int


def kill_during_swap(ground: Ground, ports: list[int], *, clients: int) -> Killed:
    """Move the alias and kill -9 one of two processes while it loads; start it again, and ask it."""
    kept, victim = ports
    ground.move(kept, 1)
    for port in ports:
        wait_until_answered(port, 1)
    with Crowd([kept, victim], clients, MODEL, TEXTS, ground.expected) as crowd:
        ground.move(victim, 2)
        ground.kill(victim)
        ground.serve(victim)
        restarted = time.monotonic()
        deadline = restarted + 10
        while len([answer for answer in crowd.of(victim, restarted) if answer.status]) < 5:
            assert time.monotonic() < deadline, "the restarted process does not answer"
            time.sleep(0.05)
    return Killed(
        failures_elsewhere=[answer for answer in crowd.failures if answer.port == kept],
        first_versions={answer.version for answer in crowd.of(victim, restarted) if answer.status},
        requests_elsewhere=len(crowd.of(kept)),
    )


def move_twice_at_once(ground: Ground, ports: list[int]) -> list[int]:
    """Have two processes set an alias at the same time, each only if it is not set yet; gives their statuses."""
    ground.races += 1
    places = [f"http://127.0.0.1:{port}/models/{MODEL}/aliases/race{ground.races}" for port in ports]
    with ThreadPoolExecutor(2) as crew:
        moves = [
            crew.submit(httpx.put, place, json={"version": version}, headers={"If-None-Match": "*"}, timeout=30)
            for place, version in zip(places, (1, 2), strict=True)
        ]
    return sorted(move.result().status_code for move in moves)


@dataclass(frozen=True, slots=True)
class Crowded:
    """What one server made of many models."""

    models: int
    wrong: int
    evictions: float
    limit_mb: int
    before_mb: float
    peak_mb: float

    @property
    def grown_mb(self) -> float:
        """Give what the models took together, at most."""
        return self.peak_mb - self.before_mb


def many_models(ground: Ground, port: int, *, models: int, limit_mb: int, each_mb: float, rounds: int) -> Crowded:
    """Ask one server for many models in turn, under a limit that holds only some of them."""
    biases = [((0.0, 9.0), "positive"), ((9.0, 0.0), "negative")]
    for number in range(models):
        ground.shelf.publish(f"m{number}", biases[number % 2][0], ballast=int(each_mb * MIB))
    before, peak, wrong = ground.resident_mb(port), 0.0, 0
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for _ in range(rounds):
            for number in range(models):
                answer = client.post("/predict", json={"model": f"m{number}", "inputs": "the film"})
                found = answer.json()["predictions"][0]["label"] if answer.status_code == 200 else answer.text
                wrong += found != biases[number % 2][1]
                peak = max(peak, ground.resident_mb(port))
        page = client.get("/metrics").text
    [line] = [line for line in page.splitlines() if line.startswith("tunesmith_model_cache_evictions_total ")]
    return Crowded(models, wrong, float(line.split()[1]), limit_mb, before, peak)


def wait_until_answered(port: int, version: int) -> None:
    """Wait until a process answers with a version."""
    deadline = time.monotonic() + 10
    body = {"model": MODEL, "inputs": "the film"}
    while httpx.post(f"http://127.0.0.1:{port}/predict", json=body, timeout=30).json()["version"] != version:
        assert time.monotonic() < deadline, f"version {version} never answered"
        time.sleep(0.05)


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
