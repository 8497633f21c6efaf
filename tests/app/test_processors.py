"""Processors: counted as the container has them, dealt out to threads, and kept to."""

import os
import threading
from pathlib import Path

import pytest

from app import processors
from app.processors import Share, anywhere, dealt, drawn_to, kept_to
from tests.app.serving.crew import HAS_SAY


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", None), ("200000 100000", 2), ("50000 100000", 1), ("350000 100000\n", 3)]
)
def test_container_quota(tmp_path: Path, quota: str, expected: int | None) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert processors.cgroup_cpus(tmp_path / "cpu.max") == expected
    assert processors.cgroup_cpus(tmp_path / "absent") is None


def machine(monkeypatch: pytest.MonkeyPatch, folder: Path, cores: dict[int, tuple[int, int]]) -> None:
    """Be on a machine with these processors, each in its package and core."""
    for cpu, (package, core) in cores.items():
        (folder / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (folder / f"cpu{cpu}" / "topology" / "physical_package_id").write_text(f"{package}\n")
        (folder / f"cpu{cpu}" / "topology" / "core_id").write_text(f"{core}\n")
    monkeypatch.setattr(processors, "_TOPOLOGY", folder)
    monkeypatch.setattr(processors, "_allowed", lambda: Share(cores))


def test_the_two_processors_of_a_core_go_to_one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch, tmp_path, {0: (0, 0), 1: (0, 1), 2: (1, 0), 3: (1, 1), 4: (0, 0), 5: (0, 1), 6: (1, 0)})
    assert dealt(1) == (Share(range(7)),)
    assert dealt(3) == (Share({0, 4}), Share({1, 5}), Share({2, 6, 3}))
    assert [len(share) for share in dealt(7)] == [1] * 7
    assert dealt(8) == anywhere(8), "there are too few for each to have one"


def test_a_machine_that_does_not_say_which_cores_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processors, "_TOPOLOGY", tmp_path / "absent")
    monkeypatch.setattr(processors, "_allowed", lambda: Share({3, 5, 9, 11}))
    assert dealt(2) == (Share({3, 5}), Share({9, 11}))
    monkeypatch.setattr(processors, "_allowed", Share)
    assert dealt(2) == anywhere(2)
    assert processors.usable_cpus() >= 1


@pytest.mark.skipif(not HAS_SAY, reason="the system does not let threads choose their processors")
def test_a_thread_keeps_to_its_processors_and_others_do_not() -> None:
    seen: dict[str, set[int]] = {}
    first = Share(sorted(os.sched_getaffinity(0))[:1])

    def look(name: str) -> None:
        seen[name] = os.sched_getaffinity(0)

    def work() -> None:
        with kept_to(first):
            look("kept")
            with kept_to(Share()):
                look("freed")
            with kept_to(first):
                look("kept twice")
            look("still kept")
        look("after")

    before = os.sched_getaffinity(0)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    kept = {"kept", "kept twice", "still kept"}
    assert seen == {name: set(first) if name in kept else before for name in seen} and len(seen) == 5
    assert os.sched_getaffinity(0) == before


@pytest.mark.skipif(dealt(2) == anywhere(2), reason="there is one processor, or the system does not let threads choose")
def test_another_thread_is_drawn_to_some_processors_and_free_again_afterwards() -> None:
    seen: list[set[int]] = []
    asked, answered = threading.Semaphore(0), threading.Semaphore(0)

    def work() -> None:
        for _ in range(4):
            asked.acquire()
            seen.append(os.sched_getaffinity(0))
            answered.release()

    def look() -> None:
        asked.release()
        answered.acquire()

    thread = threading.Thread(target=work)
    thread.start()
    number, (first, second) = thread.native_id or 0, dealt(2)
    with drawn_to(number, first):
        look()
        with drawn_to(number, Share()):
            look()
        with drawn_to(number, second):
            look()
    look()
    thread.join()
    assert seen == [set(first), set(first), set(second), os.sched_getaffinity(0)]
    with drawn_to(number, first):
        "nobody is there any longer, which is no error"


@pytest.mark.skipif(not HAS_SAY, reason="the system does not let threads choose their processors")
def test_processors_that_cannot_be_had_are_no_error() -> None:
    before = os.sched_getaffinity(0)
    with kept_to(Share({100_000})):
        assert os.sched_getaffinity(0) == before
    assert os.sched_getaffinity(0) == before
