"""TensorBoard itself reads the event files."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from app.records import event_file


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found = read(folder)
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_tensorboard_reads_every_point(tmp_path: Path) -> None:
    points = [(1_700_000_000.25 + step, step, "train/loss", 1 / step) for step in range(1, 300)]
    points += [(1_700_000_300.0, 299, "eval/f1:größe ☃", 0.5), (1_700_000_000.0, 2**40, "far", -1e30)]
    (tmp_path / event_file.file_name("job_1", 1_700_000_000.9)).write_bytes(event_file.whole(points))
    found = curves(tmp_path)
    assert set(found) == {"train/loss", "eval/f1:größe ☃", "far"}
    assert found["train/loss"] == [(step, pytest.approx(1 / step)) for step in range(1, 300)]
    assert found["far"] == [(2**40, pytest.approx(-1e30))]
    assert read(tmp_path).Scalars("train/loss")[0].wall_time == pytest.approx(1_700_000_001.25)


def test_a_file_may_grow_while_it_is_read(tmp_path: Path) -> None:
    place = tmp_path / event_file.file_name("job_1", 0)
    with place.open("wb", buffering=0) as file:
        file.write(event_file.opening(0.0))
        file.write(event_file.scalars(1.0, 1, {"a": 1.0, "b": 2.0}))
        assert curves(tmp_path) == {"a": [(1, 1.0)], "b": [(1, 2.0)]}
        record = event_file.scalars(2.0, 2, {"a": 3.0})
        file.write(record[:-5])
        assert curves(tmp_path)["a"] == [(1, 1.0)]
        file.write(record[-5:])
        assert curves(tmp_path)["a"] == [(1, 1.0), (2, 3.0)]


def test_no_points_are_a_file_too(tmp_path: Path) -> None:
    (tmp_path / event_file.file_name("job_1", 0)).write_bytes(event_file.whole([]))
    assert curves(tmp_path) == {}


def test_names_sort_by_time() -> None:
    assert event_file.file_name("b", 9.0) < event_file.file_name("a", 10.0)
