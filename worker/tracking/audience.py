"""Those who watch a job from outside: trackers, each told in a thread of its own so that none holds up the work."""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from app.errors import Unavailable
from app.logging import bound, get_logger
from app.settings import Settings
from worker.events import Evaluated, Event, Resolved, Stepped, Warned
from worker.tracking.points import finite, points_of, scalars
from worker.tracking.tracker import Ending, Run, StartTracker, Tracker
from worker.tracking.trackers import mlflow, tensorboard, wandb

log = get_logger(__name__)

CONNECT: Mapping[str, Callable[[Settings], StartTracker]] = {
    "tensorboard": tensorboard.connect,
    "mlflow": mlflow.connect,
    "wandb": wandb.connect,
}
PACKAGES = {"mlflow": "mlflow", "wandb": "wandb"}
"""What a tracker needs installed, by its name; the extra of this project is called like the tracker."""
NETWORK = {"architecture", "parameters", "trainable_parameters", "size_mb"}
"""What trackers show of the network; its layers are in the report."""
FAREWELL_SECONDS = 10.0
"""How long a job's slot waits for trackers to take leave; they go on by themselves after that."""

Warn = Callable[[Event], None]


class Trackers:
    """The trackers that the operator configured."""

    def __init__(self, settings: Settings) -> None:
        """Raise Unavailable ``tracker-not-installed`` for a tracker whose package is missing."""
        for name in settings.trackers:
            if name in PACKAGES and find_spec(PACKAGES[name]) is None:
                raise _not_installed(name)
        self._start = {name: CONNECT[name](settings) for name in dict.fromkeys(settings.trackers)}

    def watch(self, run: Run, warn: Warn) -> "Audience":
        """Begin to show a run; ``warn`` hears of a tracker that fails, from another thread."""
        return Audience([Watcher(name, start, run, warn) for name, start in self._start.items()])


class Audience:
    """All who watch one attempt."""

    def __init__(self, watchers: Sequence["Watcher"] = ()) -> None:
        self._watchers = watchers

    def hear(self, event: Event) -> None:
        """Pass an event on; returns at once."""
        for watcher in self._watchers:
            watcher.tell(event)

    def finish(self, ending: Ending) -> None:
        """Tell how the attempt ended, and wait a little for the last words to arrive."""
        for watcher in self._watchers:
            watcher.tell(ending)
        deadline = time.monotonic() + FAREWELL_SECONDS
        for watcher in self._watchers:
            watcher.join(max(0.0, deadline - time.monotonic()))


class Watcher:
    """One tracker on one attempt: a queue and the thread that empties it."""

    def __init__(self, name: str, start: StartTracker, run: Run, warn: Warn) -> None:
        self._name = name
        self._start = start
        self._run = run
        self._warn = warn
        self._heard: queue.SimpleQueue[Event | Ending] = queue.SimpleQueue()
        self._deaf = False
        self._thread = threading.Thread(target=self._show, name=f"{name}-{run.job_id}", daemon=True)
        self._thread.start()

    def tell(self, what: "Event | Ending") -> None:
        """Queue something to be shown."""
        if not self._deaf:
            self._heard.put(what)

    def join(self, timeout: float) -> None:
        """Wait until everything is shown, or no longer than ``timeout`` seconds."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("tracker_still_busy", tracker=self._name, job_id=self._run.job_id)

    def _show(self) -> None:
        with bound(job_id=self._run.job_id, attempt=self._run.attempt):
            try:
                tracker = self._start(self._run)
                while not _was_last(tracker, self._heard.get()):
                    continue
            except Exception as error:
                self._deaf = True
                log.warning("tracker_failed", tracker=self._name, error=type(error).__name__, exc_info=True)
                self._warn(_failed(self._name, error))


def _was_last(tracker: Tracker, what: "Event | Ending") -> bool:
    """Show one thing; say whether it was the last."""
    if isinstance(what, str):
        tracker.finish(what)
        return True
    if isinstance(what, Resolved):
        tracker.parameters(_parameters(what))
    elif isinstance(what, Stepped | Evaluated) and (values := _values(what)):
        tracker.measured(what.step, values)
    return False


def _values(event: Stepped | Evaluated) -> dict[str, float]:
    if isinstance(event, Evaluated) and event.evaluation.split != "validation":
        return {f"{event.evaluation.split}/{name}": value for name, value in scalars(event.evaluation).items()}
    return {point.name: point.value for point in finite(points_of(event))}


def _parameters(event: Resolved) -> dict[str, Any]:
    decided = event.hyperparameters.model_dump(mode="json")
    network = {} if event.inspection is None else event.inspection.model_dump(include=NETWORK)
    run = {"total_steps": event.total_steps, "device": event.device, "base_model": event.base_model.id}
    return decided | network | run


def _failed(name: str, error: Exception) -> Warned:
    return Warned(
        code="tracker-failed",
        detail=f"{name} shows no more of this job: {type(error).__name__}.",
        remedy="The curves are in the service all the same. The worker's log has the reason.",
    )


def _not_installed(name: str) -> Unavailable:
    return Unavailable(
        f"TUNESMITH_TRACKERS names {name}, but its package is not installed beside this worker.",
        "tracker-not-installed",
        f"Install it: pip install 'tunesmith[{name}]'; or take {name} out of TUNESMITH_TRACKERS.",
    )
