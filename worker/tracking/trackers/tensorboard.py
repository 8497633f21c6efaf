"""Event files that TensorBoard follows while a job runs: one folder for each job, ``MODEL/JOB``."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.records import event_file
from app.settings import Settings
from worker.tracking.tracker import Ending, Run, StartTracker


class TensorBoard:
    """Writes one file for one attempt; a later attempt's file goes on beside it."""

    def __init__(self, root: Path, run: Run) -> None:
        folder = root / run.model / run.job_id
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        # Unbuffered: a point is seen as soon as it is written, and nothing is lost in a crash.
        self._file = (folder / event_file.file_name(f"{run.job_id}.{run.attempt}", now)).open("wb", buffering=0)
        self._file.write(event_file.opening(now))

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Show nothing: what was decided is no curve."""

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        """Append one record."""
        self._file.write(event_file.scalars(time.time(), step, values))

    def finish(self, _ending: Ending, /) -> None:
        """Close the file."""
        self._file.close()


def connect(settings: Settings) -> StartTracker:
    """Give what begins a file for each run."""
    root = settings.tensorboard_dir or settings.data_dir / "runs"
    return lambda run: TensorBoard(root, run)
