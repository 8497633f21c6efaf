"""The campaign of ``python -m tests.swap`` in short: two real API processes, clients, moves, a kill, many models.

The processes look at the registry once an hour, so that they follow only what a real broker tells them.
"""

from collections.abc import Iterator

import pytest

from app.queue.embedded import EmbeddedBroker
from tests.swap.ground import Ground, ground
from tests.swap.scenarios import SLACK_MB, kill_during_swap, many_models, move_twice_at_once, swap, wait_until_answered

LIMIT_MB = 16


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(tmp_path_factory.mktemp("swap")) as made:
        yield made


@pytest.fixture(scope="module")
def ports(made: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    broker = EmbeddedBroker(tmp_path_factory.mktemp("valkey"))
    broker.start()
    yield made.serve_two(serve_cache_mb=LIMIT_MB, broker_url=broker.url, registry_refresh_seconds=3600)
    broker.stop()


def test_no_call_fails_while_an_alias_moves_and_every_process_is_told(made: Ground, ports: list[int]) -> None:
    found = swap(made, ports, clients=6, seconds=4.5, moves=2)
    assert found.failures == []
    assert set(found.versions) == {1, 2}
    assert found.requests > 50
    for port in ports:
        wait_until_answered(port, 1)  # where the second move has led; how soon is a matter of the campaign


def test_of_two_moves_at_once_one_is_refused(made: Ground, ports: list[int]) -> None:
    for _ in range(3):
        first, second = move_twice_at_once(made, ports)
        assert first in (200, 201)
        assert second == 412


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_swaps_comes_back_with_the_new_version(
    made: Ground, ports: list[int]
) -> None:
    found = kill_during_swap(made, ports, clients=2)
    assert found.failures_elsewhere == []
    assert found.first_versions == {2}


@pytest.mark.slow
def test_many_models_share_the_memory_that_they_are_given(made: Ground, ports: list[int]) -> None:
    found = many_models(made, ports[0], models=16, limit_mb=LIMIT_MB, each_mb=4, rounds=2)
    assert found.wrong == 0
    assert found.evictions >= 16
    assert found.grown_mb <= found.limit_mb + SLACK_MB
