"""MLflow: a run for each attempt in the operator's experiment."""

import os
import re
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from app.settings import Settings
from worker.tracking.tracker import Ending, Run, StartTracker

STATUS: dict[Ending, str] = {"succeeded": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
LONGEST_VALUE = 500
"""Characters of a parameter that every store of MLflow takes."""
MOST_PARAMETERS = 100
_NOT_IN_NAMES = re.compile(r"[^\w.\-/ :]")


class MLflow:
    """Shows one attempt through a client of its own, without MLflow's process-wide state."""

    def __init__(self, settings: Settings, run: Run) -> None:
        client = import_module("mlflow.tracking").MlflowClient(tracking_uri=settings.mlflow_tracking_uri or None)
        self._entities = import_module("mlflow.entities")
        self._client = client
        tags = {name: value for name, value in run.metadata.items() if name not in ("notes", "tags")}
        tags |= {"tunesmith.job": run.job_id, "tunesmith.attempt": str(run.attempt), "tunesmith.model": run.model}
        tags |= {"tunesmith.base_model": run.base_model}
        if "notes" in run.metadata:
            tags["mlflow.note.content"] = run.metadata["notes"]
        made = client.create_run(experiment_id(client, settings.mlflow_experiment), run_name=run.name, tags=tags)
        self._run_id = made.info.run_id

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Log parameters, each once."""
        parameters = [self._entities.Param(name, str(value)[:LONGEST_VALUE]) for name, value in values.items()]
        for start in range(0, len(parameters), MOST_PARAMETERS):
            self._client.log_batch(self._run_id, params=parameters[start : start + MOST_PARAMETERS])

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        """Log metrics; MLflow's names take fewer characters than labels have."""
        now = int(time.time() * 1000)
        found = [
            self._entities.Metric(_NOT_IN_NAMES.sub("_", name), value, now, step) for name, value in values.items()
        ]
        self._client.log_batch(self._run_id, metrics=found)

    def finish(self, ending: Ending, /) -> None:
        """End the run with its status."""
        self._client.set_terminated(self._run_id, STATUS[ending])


def experiment_id(client: Any, name: str) -> str:
    """Find the experiment, or make it; another worker may make it at the same time."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except import_module("mlflow.exceptions").MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def connect(settings: Settings) -> StartTracker:
    """Give what begins a run for each attempt; MLflow itself is imported when the first one does."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    return lambda run: MLflow(settings, run)
