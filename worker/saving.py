"""Save a run now and then, and go on from what an earlier attempt has saved."""

import time
from typing import Any

from safetensors import SafetensorError

from app.errors import JobFailure
from app.schemas.jobs import JobWarning
from app.schemas.metrics import Evaluation
from worker.events import AttemptSpec, Checkpointed, Resumed
from worker.finishing import Finish
from worker.narration import Narrator
from worker.training.events import LastStep, SaveDue, TrainingEvent
from worker.training.loop import Training

SHARE = 0.05
"""Of the time, that saving by the clock may take at most: large models on slow disks are saved less often."""


class Saving:
    """The checkpoints of one run; ``best`` is the evaluation of the best weights so far, which they carry along."""

    def __init__(self, spec: AttemptSpec, training: Training, narrator: Narrator, finish: Finish) -> None:
        self._spec = spec
        self._training: Training | None = training
        self._narrator = narrator
        self._finish = finish
        self._wishes = training.wishes
        self._saved_at = time.monotonic()
        self._saved_step = 0
        self._took = 0.0
        self._in_trouble = False
        self._last: Checkpointed | None = None
        """The end of training, on disk here only: of use if what comes after it is interrupted."""
        self.best: Evaluation | None = None

    def resume(self) -> None:
        """Go on from the spec's checkpoint, if it names one; a damaged one costs its time, not the job."""
        training = self._training
        if self._spec.resume_from is None or training is None:
            return
        try:
            notes = training.resume(self._spec.resume_from, fingerprint=self._spec.fingerprint)
        except JobFailure as failure:
            self._narrator.warn(JobWarning(code="resume-fallback", detail=f"{failure.detail} Training starts anew."))
            return
        # What the worker has counted holds for what crashes have lost, too.
        self._finish.begin(max(notes.get("spent", 0.0), self._spec.trained_seconds))
        self.best = None if notes["best"] is None else Evaluation.model_validate(notes["best"])
        self._saved_step = training.step
        self._narrator.say(Resumed(step=training.step))

    def save_if_due(self, event: TrainingEvent) -> None:
        """Save when the event says so, or where time decides, when the last time is long enough ago."""
        if isinstance(event, SaveDue):
            self.save()
        elif isinstance(event, LastStep):
            self._last = self._write()
            self._training = None  # what it holds is memory that is wanted elsewhere now
        elif self._wishes.save_strategy == "time" and self._spec.checkpoint_seconds is not None:
            pause = max(self._spec.checkpoint_seconds, self._took / SHARE)
            if time.monotonic() - self._saved_at >= pause:
                self.save()

    def save(self) -> None:
        """Save, unless nothing has happened since; once training is over, its end."""
        saved, self._last = self._last or self._write(), None
        if saved is not None:
            self._narrator.say(saved)

    def _write(self) -> Checkpointed | None:
        """Write a checkpoint, if there is something new; training outlives a disk that cannot take it."""
        began = time.monotonic()
        training, saved = self._training, None
        if training is not None and (step := training.step) > self._saved_step:
            folder = self._spec.work_dir / f"checkpoint-{step:09d}"
            try:
                training.save(folder, fingerprint=self._spec.fingerprint, notes=self._notes())
            except (OSError, SafetensorError) as error:
                self._tell(error)
            else:
                saved = Checkpointed(step=step, folder=folder, kept=self._wishes.save_total_limit)
                self._saved_step = step
        self._saved_at = time.monotonic()
        self._took = self._saved_at - began
        return saved

    def _notes(self) -> dict[str, Any]:
        best = None if self.best is None else self.best.model_dump(mode="json")
        return {"best": best, "spent": self._finish.spent}

    def _tell(self, error: Exception) -> None:
        if not self._in_trouble:  # once is enough: the next ones would fail alike
            self._in_trouble = True
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self._narrator.warn(
                JobWarning(
                    code="checkpoint-not-kept",
                    detail=f"Training goes on, but could not be saved: {reason}.",
                    remedy="Free space in the data folder of the worker; the next checkpoint is tried all the same.",
                )
            )
