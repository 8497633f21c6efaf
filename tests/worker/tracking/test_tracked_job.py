"""A job in a real worker is shown while it runs, and a tracker that cannot start costs it a warning."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def test_a_job_leaves_event_files(world):
    job_id = world.submit()
    world.supervisor()
    world.wait(job_id, "succeeded")
    folder = world.settings.data_dir / "runs" / "toy" / job_id
    events = EventAccumulator(str(folder)).Reload()
    assert [point.step for point in events.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]
    assert events.Scalars("test/accuracy")[0].value == 0.5


def test_a_folder_that_cannot_be_written_costs_a_warning(world, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    job_id = world.submit()
    world.supervisor(tensorboard_dir=tmp_path / "file")
    job = world.wait(job_id, "succeeded")
    assert "tracker-failed" in [warning["code"] for warning in job.warnings]
    assert len(world.versions()) == 1
