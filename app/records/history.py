"""The training history as one JSON document: every curve as lists, for a notebook or a plot of one's own."""

import json
from collections.abc import Iterable
from typing import Any

from app.store import tables


def training_history(job: tables.Job, points: Iterable[tables.MetricPoint]) -> str:
    """Write the history of a job: curves by name, evaluations by split, and what was trained how."""
    curves: dict[str, dict[str, list[Any]]] = {}
    for point in points:
        curve = curves.setdefault(point.name, {"steps": [], "epochs": [], "values": []})
        curve["steps"].append(point.step)
        curve["epochs"].append(point.epoch)
        curve["values"].append(point.value)
    document = {
        "job_id": job.id,
        "model": job.model_name,
        "status": job.status,
        "attempt": job.attempt,
        "base_model": job.base_model,
        "hyperparameters": job.hyperparameters,
        "best": job.best_metric,
        "stop_reason": job.stop_reason,
        "curves": curves,
        "evaluations": job.evaluations,
    }
    return json.dumps(document, ensure_ascii=False, indent=1)
