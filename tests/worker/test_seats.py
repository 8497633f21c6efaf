"""The GPUs that the slots of a worker share out."""

import threading

import pytest

from app.errors import JobFailure
from worker.events import Interrupted
from worker.seats import Seats


def take(seats: Seats, count: int) -> list[str]:
    """Take what must be free."""
    return seats.take(count, must_stop=lambda: True, waiting=lambda: None)


def test_slots_have_a_gpu_each_and_share_one_where_there_are_more_slots() -> None:
    seats = Seats(["0", "1"], 3)
    assert [take(seats, 1) for _ in range(3)] == [["0"], ["1"], ["0"]]
    assert take(Seats([], 2), 4) == []


def test_a_job_may_have_them_all_and_auto_takes_a_slots_share() -> None:
    assert take(Seats(["0", "1", "2"], 1), 3) == ["0", "1", "2"]
    assert [Seats(["0", "1", "2", "3"], slots).count("auto") for slots in (1, 2, 3, 4, 8)] == [4, 2, 1, 1, 1]
    assert Seats([], 1).count("auto") == 1
    assert Seats([], 1).count(3) == 3  # cores, which the training process counts


def test_more_gpus_than_there_are_is_refused() -> None:
    with pytest.raises(JobFailure) as failure:
        Seats(["0", "1"], 1).count(3)
    assert failure.value.code == "too-few-devices"
    assert failure.value.detail == "devices is 3, but the worker that took the job has 2 GPUs."
    assert failure.value.errors[0].pointer == "/hyperparameters/devices"


def test_who_waits_for_several_is_told_once_and_not_overtaken() -> None:
    seats = Seats(["0", "1"], 2)
    first = take(seats, 1)
    waiting, order = threading.Event(), []

    def large() -> None:
        order.append(seats.take(2, must_stop=lambda: False, waiting=waiting.set))
        seats.leave(order[0])

    thread = threading.Thread(target=large)
    thread.start()
    assert waiting.wait(30)
    with pytest.raises(Interrupted):  # one GPU is free, and somebody else is first
        take(seats, 1)
    seats.leave(first)
    thread.join(30)
    assert order == [["0", "1"]]
    assert take(seats, 1) == ["0"]
