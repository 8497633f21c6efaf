"""A trainer whose weights are a chain of hashes: bit-exactness shows after steps of milliseconds.

Each step is the hash of the step before, so weights that skipped, repeated or mixed up a step differ. Every step is
noted in a file of the job, which is how the checker knows what was done twice. ``metadata`` says how to behave; a job
with ``real`` is trained by the product's own pipeline.
"""

import hashlib
import importlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from app.artifacts.bundle import describe_files
from app.schemas.usage import Usage
from tests.faults import failpoints
from tests.worker.toy import toy_pipeline as toy
from worker.checkpoint_files import MANIFEST
from worker.events import (
    AttemptSpec,
    BundleReady,
    Checkpointed,
    Event,
    Interrupted,
    PhaseStarted,
    Resumed,
    Stopped,
    StopReason,
    Used,
)

Emit = Callable[[Event], None]
Asked = Callable[[], bool]
STATE = "state.json"


def run(spec: AttemptSpec, emit: Emit, should_stop: Asked, should_save: Asked, should_finish: Asked) -> None:
    """Run one attempt."""
    wishes = spec.request.metadata
    if spec.attempt == 1:
        failpoints.arm(wishes.get("failpoint", ""))
    if "real" in wishes:
        importlib.import_module("worker.pipeline").run(spec, emit, should_stop, should_save, should_finish)
    else:
        Chain(spec, emit, should_stop, should_save, should_finish).run()


def chain(seed: str, steps: int) -> list[str]:
    """Give the weights of an undisturbed run after each of its steps."""
    made = [seed]
    for step in range(1, steps + 1):
        made.append(link(made[-1], step))
    return made[1:]


def link(digest: str, step: int) -> str:
    """Make one step."""
    return hashlib.sha256(f"{digest} {step}".encode()).hexdigest()


class Chain:
    """One attempt at a chain."""

    def __init__(
        self, spec: AttemptSpec, emit: Emit, should_stop: Asked, should_save: Asked, should_finish: Asked
    ) -> None:
        wishes = spec.request.metadata
        self._spec = spec
        self._emit = emit
        self._should_stop = should_stop
        self._should_save = should_save
        self._should_finish = should_finish
        self._steps = int(wishes["steps"])
        self._every = int(wishes["every"])
        self._pace = float(wishes["pace"])
        self._hold_at = int(wishes["hold"])
        self._mode = wishes.get("mode", "")
        self._first = spec.attempt == 1
        self._digest = wishes["seed"]
        self._step = 0

    def run(self) -> None:
        """Go on where the last attempt was saved, to the end."""
        self._emit(PhaseStarted(phase="preparing"))
        self._emit(toy.resolved(self._spec).model_copy(update={"total_steps": self._steps}))
        self._resume()
        self._emit(PhaseStarted(phase="training"))
        journal = os.open(self._spec.request.metadata["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        while self._step < self._steps and not (self._step and self._must_make_do()):
            if self._asked_to_stop():
                if self._should_save():
                    self._save()
                raise Interrupted
            self._advance(journal)
        self._finish()

    def _resume(self) -> None:
        if self._spec.resume_from is not None:
            state = json.loads((self._spec.resume_from / STATE).read_text())
            self._digest, self._step = state["digest"], state["step"]
            self._emit(Resumed(step=self._step))

    def _advance(self, journal: int) -> None:
        self._step += 1
        self._digest = link(self._digest, self._step)
        os.write(journal, b"%d %d %.3f\n" % (self._spec.attempt, self._step, time.monotonic()))
        self._emit(toy.stepped(self._step, self._steps))
        time.sleep(self._pace)
        self._misbehave()
        self._hold()
        if self._step % self._every == 0 and self._step < self._steps:
            self._save()

    def _hold(self) -> None:
        """Wait in the first attempt at the step that the job names, for a fault to come or for leave to go on."""
        leave = Path(self._spec.request.metadata["journal"] + ".go")
        while self._first and self._step == self._hold_at and not leave.exists() and not self._asked_to_end():
            self._emit(toy.stepped(self._step, self._steps))
            time.sleep(0.1)

    def _must_make_do(self) -> bool:
        """Say whether training ends with what there is: because a client wants it, or because its budget is used up."""
        limit = self._spec.request.hyperparameters.max_train_seconds
        if limit is not None and self._spec.trained_seconds >= limit:
            return self._mode != "spendthrift" or not self._first
        return self._should_finish()

    def _asked_to_end(self) -> bool:
        return self._asked_to_stop() or (self._should_finish() and self._mode != "deaf-once")

    def _asked_to_stop(self) -> bool:
        return self._should_stop() and self._mode != "deaf"

    def _misbehave(self) -> None:
        if self._mode == "poison" and self._step == 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        if self._mode == "killed-for-memory" and self._step == 2:
            failpoints.kill_for_memory(Path(self._spec.request.metadata["journal"]).parent.parent)
        if self._mode == "hang" and self._first and self._step == 2:
            time.sleep(3600)

    def _save(self) -> None:
        folder = self._spec.work_dir / f"checkpoint-{self._step}"
        if folder.exists():
            return
        folder.mkdir()
        (folder / STATE).write_text(json.dumps({"digest": self._digest, "step": self._step}))
        files = {name: entry.model_dump() for name, entry in describe_files(folder).items()}
        (folder / MANIFEST).write_text(json.dumps({"fingerprint": self._spec.fingerprint, "files": files}))
        self._emit(Checkpointed(step=self._step, folder=folder))

    def _finish(self) -> None:
        reason: StopReason = "completed" if self._step == self._steps else "stopped"
        self._emit(toy.evaluated(self._spec, "validation", self._step, improved=True))
        self._emit(Stopped(reason=reason, step=self._step, best_step=self._step))
        self._emit(PhaseStarted(phase="exporting"))
        if self._mode == "dies-exporting" and self._first:
            self._spec.bundle_dir.mkdir()
            Path(self._spec.bundle_dir / "model.onnx").write_bytes(b"half of it")
            failpoints.die()
        digest = toy.write_bundle(self._spec, self._digest.encode())
        self._emit(Used(usage=Usage(wall_seconds=1.0)))
        self._emit(BundleReady(manifest_sha256=digest))
