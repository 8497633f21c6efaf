"""The training process: reads one spec from stdin, runs the pipeline, sends events and ends with a telling exit code.

``python -m worker.child --events-fd 5 --parent 4242``. With ``--warm`` it imports the training stack first and then
waits for its spec, so that a job does not pay for the imports.
"""

import argparse
import ctypes
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from app.errors import JobFailure
from worker.events import (
    EXIT_BROKEN,
    EXIT_DONE,
    EXIT_STOPPED,
    FINISH,
    SAVE_AND_STOP,
    AttemptSpec,
    Event,
    Failed,
    Interrupted,
    PhaseStarted,
    exit_code,
)
from worker.failures import crashed, is_disk_full, out_of_memory, storage_full

Asked = Callable[[], bool]
Pipeline = Callable[[AttemptSpec, Callable[[Event], None], Asked, Asked, Asked], None]

DEFAULT_PIPELINE = "worker.pipeline:run"
# What the pipeline's libraries load lazily, at a job's expense, unless it was loaded before.
WARM_MODULES = (
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.distilbert.modeling_distilbert",
)
WARM_IF_THERE = ("sklearn.feature_extraction.text", "sklearn.linear_model", "sklearn.exceptions")
"""Of the baselines, which a worker can do without."""
PR_SET_PDEATHSIG = 1
OOM_SCORE_ADJ = "500"
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
"""What glibc's mallopt calls them."""


class Sender:
    """Writes events to the parent, one line each; remembers the phase for the report of a failure."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self.phase: str | None = None

    def send(self, event: Event) -> None:
        """Send one event; any thread may call. Ends the process at once when the parent listens no more."""
        if isinstance(event, PhaseStarted):
            self.phase = event.phase
        view = memoryview(event.model_dump_json().encode() + b"\n")
        try:
            with self._lock:
                while view:
                    view = view[os.write(self._fd, view) :]
        except BrokenPipeError:
            os._exit(EXIT_STOPPED)


class StopFlag:
    """Set by a signal, asked by the training loop; a handler does nothing else, so no step is torn."""

    def __init__(self) -> None:
        self._set = False
        self._saving = False
        self._finishing = False

    def install(self) -> None:
        """Listen to SIGTERM, SAVE_AND_STOP and FINISH; Ctrl-C in a terminal is for the parent to judge."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(SAVE_AND_STOP, self._on_signal)
        signal.signal(FINISH, self._on_finish)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _on_signal(self, number: int, _frame: object) -> None:
        self._saving = number == SAVE_AND_STOP
        self._set = True

    def _on_finish(self, _number: int, _frame: object) -> None:
        self._finishing = True

    def finishing(self) -> bool:
        """Say whether training is to end with what it has."""
        return self._finishing

    def saving(self) -> bool:
        """Say whether the stop is to be preceded by a checkpoint."""
        return self._saving

    def __call__(self) -> bool:
        return self._set


def die_with_parent(parent: int) -> None:
    """Make the kernel kill this process when its parent dies; where it cannot, watch the parent from a thread."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch_parent, args=(parent,), name="parent-watch", daemon=True).start()
    if os.getppid() != parent:  # it died before the kernel was told
        os._exit(EXIT_STOPPED)


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(EXIT_STOPPED)


def volunteer_for_oom_killer() -> None:
    """Offer this process to the out-of-memory killer before its parent, which has to report what happened."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE_ADJ)


def keep_freed_memory() -> None:
    """Let this process keep what it frees for its next allocation, where its C library can.

    A step of training allocates what the last one freed. Given back in between, it comes as fresh pages, which the
    kernel clears one by one: on texts of 512 tokens an eighth of a step.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_MMAP_THRESHOLD, 1 << 30)
        mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
        mallopt(M_TOP_PAD, 64 << 20)


def load_pipeline(name: str) -> Pipeline:
    """Import ``module:function``. The name comes from the operator's code, never from a client."""
    module, _, function = name.partition(":")
    pipeline: Pipeline = getattr(importlib.import_module(module), function)
    return pipeline


def warm_up(pipeline: str) -> None:
    """Import everything a job needs; nothing touches the GPU yet."""
    load_pipeline(pipeline)
    for module in WARM_MODULES if pipeline == DEFAULT_PIPELINE else ():
        importlib.import_module(module)
    for module in WARM_IF_THERE if pipeline == DEFAULT_PIPELINE else ():
        with suppress(ImportError):
            importlib.import_module(module)


def run(spec: AttemptSpec, pipeline: str, sender: Sender, stop: StopFlag) -> int:
    """Run one attempt and give the exit code; whatever goes wrong is told to the parent first."""
    try:
        load_pipeline(pipeline)(spec, sender.send, stop, stop.saving, stop.finishing)
    except Interrupted:
        return EXIT_STOPPED
    except Exception as error:  # noqa: BLE001 - the one place that turns any failure into an exit code
        failure = as_failure(error, sender.phase)
        traceback.print_exc()
        sender.send(Failed(error=failure.as_dict(sender.phase)))
        return exit_code(failure)
    return EXIT_DONE


def as_failure(error: Exception, phase: str | None) -> JobFailure:
    """Say what an exception means for the job; texts of foreign exceptions may quote data and stay in the log."""
    if isinstance(error, JobFailure):
        return error
    if is_disk_full(error):
        return storage_full(phase or "preparing")
    on_device = type(error).__name__ == "OutOfMemoryError"  # torch's; this module must not import torch to ask
    if on_device or isinstance(error, MemoryError):
        return out_of_memory(device=on_device)
    return crashed(f"The training process failed with {type(error).__name__}{_place(error.__traceback__)}.")


def _place(trace: TracebackType | None) -> str:
    """Name the innermost line of our own code."""
    frames = [frame for frame in traceback.extract_tb(trace) if f"{os.sep}worker{os.sep}" in frame.filename]
    return f" at {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m worker.child", description=__doc__)
    parser.add_argument("--events-fd", type=int, required=True, help="file descriptor that events are written to")
    parser.add_argument("--parent", type=int, required=True, help="process id of the worker")
    parser.add_argument("--warm", action="store_true", help="import the training stack before the spec arrives")
    parser.add_argument("--pipeline", default=DEFAULT_PIPELINE, help="module:function to run")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Wait for a spec and run it; stdin closed without one means that nobody needs this process."""
    options = parse_arguments(arguments)
    die_with_parent(options.parent)
    volunteer_for_oom_killer()
    keep_freed_memory()
    os.set_inheritable(options.events_fd, False)
    stop = StopFlag()
    stop.install()
    if options.warm:
        warm_up(options.pipeline)
    line = sys.stdin.buffer.readline()
    if not line.strip():
        return EXIT_DONE
    spec = AttemptSpec.model_validate_json(line)
    if spec.cuda_device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = spec.cuda_device
    return run(spec, options.pipeline, Sender(options.events_fd), stop)


def leave(code: int) -> None:
    """End without the interpreter's farewell: a stuck thread or a torn-down CUDA context cannot delay it."""
    with suppress(OSError):  # the disk of the log may be full
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
    except Exception:  # noqa: BLE001 - a broken import or spec must leave a trace in the log
        traceback.print_exc()
        status = EXIT_BROKEN
    leave(status)
