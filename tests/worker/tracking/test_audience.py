"""Trackers see every point of a run, and whatever they do, the job does not notice."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from app.errors import Unavailable
from app.schemas.hyperparameters import Hyperparameters, ResolvedHyperparameters
from app.schemas.inspections import Inspection
from app.schemas.jobs import BaseModelRef
from app.schemas.metrics import ClassScores, Evaluation
from app.settings import Settings
from worker.events import Evaluated, Event, PhaseStarted, Resolved, Stepped, Warned
from worker.tracking import audience as watching
from worker.tracking.audience import Trackers, Watcher
from worker.tracking.tracker import Run

RUN = Run(
    job_id="job_0123456789abcdef",
    attempt=2,
    model="mood",
    base_model="minilm-l6",
    metadata={"team": "a", "notes": "first try", "tags": "x, y"},
)
SCORES = dict.fromkeys(
    ("loss", "accuracy", "f1_macro", "f1_weighted", "precision_macro", "precision_weighted", "recall_macro"), 0.5
)


def stepped(step: int, loss: float, *, logged: bool = True) -> Stepped:
    return Stepped(step=step, total_steps=20, epoch=step / 10, loss=loss, learning_rate=1e-4, logged=logged)


def evaluated(split: str, step: int, label: str = "größe") -> Evaluated:
    evaluation = Evaluation(
        split=split,
        examples=4,
        recall_weighted=0.25,
        per_class=[ClassScores(label=label, precision=0.5, recall=0.5, f1=0.75, support=4)],
        confusion_matrix=[[4]],
        **SCORES,
    )
    return Evaluated(step=step, epoch=1, evaluation=evaluation, metric_name="loss", metric_value=0.5, improved=True)


def resolved() -> Resolved:
    decided = {
        "num_train_epochs": 2,
        "batch_size": 8,
        "learning_rate": 1e-4,
        "head_learning_rate_multiplier": 1.0,
        "class_weights": "none",
        "dropout": 0.1,
        "max_length": 32,
        "long_text": "truncate",
        "precision": "fp32",
        "padding": "longest",
        "warmup_steps": 0,
        "warmup_ratio": None,
    }
    return Resolved(
        hyperparameters=ResolvedHyperparameters.model_validate(Hyperparameters().model_dump() | decided),
        resolutions=[],
        total_steps=20,
        device="cpu",
        base_model=BaseModelRef(id="minilm-l6", source="package"),
        inspection=Inspection(
            architecture="BertForSequenceClassification",
            parameters=1000,
            trainable_parameters=10,
            size_mb=0.5,
            device="cpu",
            layers=[],
        ),
    )


HISTORY: list[Event] = [
    PhaseStarted(phase="training"),
    resolved(),
    stepped(1, 2.0),
    stepped(2, 1.5, logged=False),
    stepped(10, float("nan")),
    evaluated("validation", 10),
    evaluated("test", 10),
]


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(**values: Any) -> Settings:
        return Settings(_env_file=None, data_dir=tmp_path / "data", **values)

    return make


def show(settings: Settings, *history: Event, ending: Any = "succeeded") -> list[Event]:
    """Play a run to the configured trackers; give what they warned of."""
    warnings: list[Event] = []
    watchers = Trackers(settings).watch(RUN, warnings.append)
    for event in history:
        watchers.hear(event)
    watchers.finish(ending)
    return warnings


def test_tensorboard_is_the_default_and_sees_every_point(settings: Callable[..., Settings], tmp_path: Path) -> None:
    assert show(settings(), *HISTORY) == []
    folder = tmp_path / "data" / "runs" / "mood" / RUN.job_id
    events = EventAccumulator(str(folder)).Reload()
    curves = {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert curves["train/loss"] == [(1, 2.0)]
    assert [step for step, _ in curves["train/learning_rate"]] == [1, 10]
    assert curves["eval/f1:größe"] == [(10, 0.75)]
    assert curves["test/recall_weighted"] == [(10, 0.25)]


def test_a_second_attempt_goes_on_beside_the_first(settings: Callable[..., Settings], tmp_path: Path) -> None:
    for step in (1, 2):
        show(settings(tensorboard_dir=tmp_path / "tb"), stepped(step, 1.0))
    events = EventAccumulator(str(tmp_path / "tb" / "mood" / RUN.job_id)).Reload()
    assert [point.step for point in events.Scalars("train/loss")][-1] == 2


@pytest.mark.timeout(120)
@pytest.mark.slow
def test_mlflow_keeps_a_run_in_its_database(
    settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    configured = settings(trackers=["mlflow"], mlflow_tracking_uri=uri, mlflow_experiment="moods")
    monkeypatch.setattr(watching, "FAREWELL_SECONDS", 100.0)  # its first start makes the tables
    assert show(configured, *HISTORY, evaluated("validation", 12, label="a?b")) == []
    assert show(configured, stepped(1, 1.0), ending="failed") == []
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("moods")
    failed, run = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    assert (run.info.run_name, run.info.status, failed.info.status) == ("mood-89abcdef-2", "FINISHED", "FAILED")
    assert run.data.metrics["train/loss"] == 2.0
    assert run.data.metrics["eval/f1:a_b"] == 0.75
    assert run.data.metrics["test/accuracy"] == 0.5
    assert (run.data.params["batch_size"], run.data.params["total_steps"]) == ("8", "20")
    assert (run.data.params["parameters"], run.data.params["trainable_parameters"]) == ("1000", "10")
    assert run.data.tags["team"] == "a"
    assert run.data.tags["tunesmith.job"] == RUN.job_id
    assert run.data.tags["mlflow.note.content"] == "first try"
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "train/learning_rate")] == [1, 10]


@pytest.mark.timeout(120)
@pytest.mark.slow
def test_wandb_keeps_an_offline_run(
    settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "FAREWELL_SECONDS", 100.0)
    configured = settings(trackers=["wandb"], wandb_mode="offline", wandb_project="moods")
    assert show(configured, *HISTORY) == []
    [file] = (tmp_path / "data" / "wandb").glob("wandb/offline-run-*/*.wandb")
    deadline = time.monotonic() + 30
    while len(content := file.read_bytes()) < 1000:  # its writer is a process of its own
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for told in (b"moods", f"{RUN.job_id}-2".encode(), b"train/loss", b"eval/f1:gr", b"batch_size", b"first try"):
        assert told in content


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_is_told_at_the_start(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(watching, "PACKAGES", {name: "no_such_package"})
    with pytest.raises(Unavailable) as caught:
        Trackers(settings(trackers=["tensorboard", name]))
    assert caught.value.code == "tracker-not-installed"
    assert f"tunesmith[{name}]" in str(caught.value.remedy)


def test_nothing_heavy_is_imported_for_trackers_that_are_not_configured() -> None:
    code = "import sys, worker.tracking.audience; print({'mlflow', 'wandb', 'tensorboard'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


class Broken:
    """Fails at its first point."""

    def parameters(self, values: Mapping[str, Any]) -> None:
        """Take them."""

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        raise ConnectionError("secret://password@host")

    def finish(self, _ending: object, /) -> None:
        raise AssertionError("nobody asks a broken tracker for more")


def test_a_failing_tracker_is_told_once_without_what_it_said() -> None:
    warnings: list[Event] = []
    watcher = Watcher("mlflow", lambda _: Broken(), RUN, warnings.append)
    for step in range(100):
        watcher.tell(stepped(step, 1.0))
    watcher.tell("failed")
    watcher.join(60)
    [warning] = warnings
    assert isinstance(warning, Warned)
    assert (warning.code, "secret" in warning.detail) == ("tracker-failed", False)


def test_a_hanging_tracker_holds_nobody_up() -> None:
    gate = threading.Event()

    def start(_: Run) -> Any:
        gate.wait(30)
        raise TimeoutError

    watcher = Watcher("wandb", start, RUN, lambda _: None)
    for step in range(1000):
        watcher.tell(stepped(step, 1.0))
    watcher.tell("succeeded")
    watcher.join(0.05)
    gate.set()
