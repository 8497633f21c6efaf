"""The training loop: a generator that trains and says what happened. It knows no job, no file format, no queue."""

import math
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.errors import JobFailure
from app.schemas.datasets import ProblemType
from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.metrics import Evaluation
from worker.batch import Batch
from worker.checkpoint_files import damaged
from worker.events import Interrupted, StopReason
from worker.heads import Head
from worker.memory import ran_out, release
from worker.training.checkpoint import BEST, batch_of, best_of, load_state, load_weights, save_state, save_weights
from worker.training.distillation import Distillation
from worker.training.events import Evaluated, LastStep, Recomputing, SaveDue, Split, Step, Stopped, TrainingEvent
from worker.training.freezing import Freezing
from worker.training.ladder import Ladder, remember_dice
from worker.training.meter import EXPLODED_NORM, Meter
from worker.training.objective import objective
from worker.training.optimizer import encoder_rate, make_optimizer, peak_rate, set_beta1, set_factor
from worker.training.precision import LEAST_SCALE, Arithmetic
from worker.training.schedulers import Schedule
from worker.training.stopping import Stopping, read_metric

Rows = NDArray[np.int64]
Autocast = Callable[[], AbstractContextManager[None]]
Evaluate = Callable[[nn.Module, Autocast], Evaluation]


class Source(Protocol):
    """Where the batches come from."""

    def plan(self, batch_size: int, *, seed: int, epoch: int) -> Sequence[Rows]:
        """Give the rows of every batch of an epoch, always the same for the same seed and epoch."""

    def load(self, rows: Rows) -> Batch:
        """Make one batch, on the CPU."""


@dataclass(slots=True)
class Place:
    """How far a run is: finished optimizer steps, epoch, and windows finished in it."""

    step: int = 0
    epoch: int = 0
    window: int = 0
    evaluated: int = 0
    """Step of the newest evaluation."""
    skipped: int = 0
    """Steps of fp16 whose gradients overflowed: nothing was learned in them, so the schedule stood still."""


class Training:
    """One run from the first step to the best weights, at any step boundary ready to be saved and resumed."""

    def __init__(
        self,
        model: nn.Module,
        source: Source,
        wishes: ResolvedHyperparameters,
        *,
        labels: Sequence[str],
        head: Collection[str],
        total_steps: int,
        device: torch.device,
        folder: Path,
        evaluate: Evaluate | None,
        depths: Mapping[str, int] | None = None,
        forward: nn.Module | None = None,
        recompute: Callable[[], None] | None = None,
        between: Collection[str] = (),
        problem_type: ProblemType = "single_label",
        heads: Sequence[Head] = (),
    ) -> None:
        """Take a model that is on ``device`` already; ``evaluate`` None: no validation, the last weights are the best.

        ``head`` names the parameters that learn at the head's rate, ``between`` those that learn at the base's rate but
        are new and never frozen, ``depths`` the layers of the others; ``forward`` is the model to call in training when
        it is not ``model``, ``recompute`` turns its gradient checkpointing on; ``folder`` keeps the best weights. Of
        several ``heads``, ``labels`` are those of the first.
        """
        self.wishes = wishes
        self.arithmetic = Arithmetic(device, wishes.precision)
        self.model = model
        self._source = source
        self._total_steps = total_steps
        self._device = device
        self._best_file = folder / BEST
        self._evaluate = evaluate
        self._forward = model if forward is None else forward
        self._freezing = Freezing(model, {*head, *between}, depths or {}, wishes)
        self._optimizer = make_optimizer(model, head, wishes, depths)
        self._schedule = Schedule.of(wishes, total_steps)
        self._peak = peak_rate(self._optimizer)
        self._loss = objective(wishes, labels, device, problem_type=problem_type, heads=heads)
        self._distillation = None if wishes.distillation is None else Distillation(wishes.distillation)
        self._stopping = Stopping(
            wishes.metric_for_best_model, wishes.early_stopping_patience, wishes.early_stopping_threshold
        )
        self._place = Place()
        self._cut_short: StopReason | None = None
        self._windows: list[Sequence[Rows]] = []
        self._curves_of_epoch: dict[str, float] = {}
        self._curves: dict[str, float] = {}  # of the newest step, which may have been the last of its epoch
        self._ladder = Ladder(wishes.batch_size, recompute, recomputed_from_the_start=wishes.gradient_checkpointing)
        self._newest_norm: Tensor | None = None  # of a step that may have been skipped
        self._meter = Meter(device)

    def run(
        self, should_stop: Callable[[], bool], finish: Callable[[], StopReason | None] = lambda: None
    ) -> Iterator[TrainingEvent]:
        """Train until the steps or the patience run out, or ``finish`` gives a reason, then put the best weights back.

        Raises Interrupted at a step boundary when ``should_stop`` says so, JobFailure ``training-diverged`` or
        ``gpu-out-of-memory``.
        """
        self._plan_epoch()
        self.model.train()
        self._meter.start()
        while True:
            self._cut_short = finish() if self._place.step else None
            if self._evaluate is not None and self._evaluation_is_due():
                yield self._judge(self._evaluate)
            if self._place.step >= self._total_steps or self._stopping.exhausted or self._cut_short:
                break
            if should_stop():
                raise Interrupted
            yield from self._advance()
            if self._meter.due(self._place.step, self.wishes.logging_steps, self._total_steps):
                yield self._report()
            if self._save_is_due():
                yield SaveDue(self._place.step)
        yield LastStep(self._place.step)
        yield self._finish()

    def rehearse(self, steps: int) -> int:
        """Make steps of which nothing is told, kept or judged; give how many parts memory made of each batch.

        Raises JobFailure ``gpu-out-of-memory``.
        """
        self._plan_epoch()
        self.model.train()
        for _ in range(steps):
            for _rung in self._advance():
                pass
        return self._ladder.parts

    def bytes_held(self) -> dict[str, int]:
        """Give what stays in memory between the passes: weights, their gradients while they gather, optimizer state."""
        parameters = list(self.model.parameters())
        state = (value for values in self._optimizer.state.values() for value in values.values())
        return {
            "weights": sum(parameter.nbytes for parameter in parameters),
            "gradients": sum(parameter.nbytes for parameter in parameters if parameter.requires_grad),
            "optimizer": sum(value.nbytes for value in state if isinstance(value, Tensor)),
        }

    def save(self, folder: Path, *, fingerprint: str, notes: Mapping[str, Any] | None = None) -> None:
        """Write everything that ``resume`` needs, and the caller's ``notes``, which are JSON.

        Between two events, or after Interrupted.
        """
        self._count_skipped()
        place = self._place
        state: dict[str, Any] = {
            "batch": [self.wishes.batch_size, self.wishes.gradient_accumulation_steps],
            "place": [place.step, place.epoch, place.window, place.evaluated, place.skipped],
            "stopping": self._stopping.state(),
            "scaler": self.arithmetic.scaler.state_dict(),
            "loss": self._meter.state(),
            "ladder": self._ladder.state(),
            "notes": dict(notes or {}),
        }
        best = self._best_file if self._best_file.is_file() else None
        save_state(
            folder,
            model=self.model,
            optimizer=self._optimizer,
            state=state,
            best=best,
            fingerprint=fingerprint,
        )

    def resume(self, folder: Path, *, fingerprint: str) -> dict[str, Any]:
        """Go on where ``save`` was called: on the same device and threads, bit by bit as if never interrupted.

        Gives the notes that were saved. Raises JobFailure ``damaged-checkpoint``.
        """
        batch = (self.wishes.batch_size, self.wishes.gradient_accumulation_steps)
        if batch_of(folder) not in (batch, None):
            raise damaged("its batches were of another size")
        state = load_state(folder, model=self.model, optimizer=self._optimizer, fingerprint=fingerprint)
        self._place = Place(*state["place"])
        self._stopping = Stopping.from_state(state["stopping"])
        self.arithmetic.scaler.load_state_dict(state["scaler"])
        self._meter.restore(state["loss"])
        self._ladder.restore(state["ladder"])
        if (best := best_of(folder)) is not None:
            scratch = self._best_file.with_name(f".{BEST}.part")
            shutil.copyfile(best, scratch)
            scratch.replace(self._best_file)
        notes: dict[str, Any] = state["notes"]
        return notes

    @property
    def step(self) -> int:
        """How many optimizer steps are made."""
        return self._place.step

    def _plan_epoch(self) -> None:
        batches = self._source.plan(self.wishes.batch_size, seed=self.wishes.seed, epoch=self._place.epoch)
        size = self.wishes.gradient_accumulation_steps
        self._windows = [batches[start : start + size] for start in range(0, len(batches), size)]
        self._freezing.enter(self._place.epoch)
        self._curves_of_epoch = self._further_curves()

    @property
    def _epoch(self) -> float:
        return self._place.epoch + self._place.window / len(self._windows)

    def _advance(self) -> Iterator[Split | Recomputing]:
        place, ladder = self._place, self._ladder
        rows = self._windows[place.window]
        while not self._step(rows):
            if not ladder.climb():
                raise ladder.exhausted(place.step + 1)
            yield Recomputing(place.step + 1) if ladder.recomputes else Split(place.step + 1, ladder.parts)
        place.step += 1
        place.window += 1
        if place.window == len(self._windows):
            place.epoch, place.window = place.epoch + 1, 0
            self._plan_epoch()

    def _step(self, window: Sequence[Rows]) -> bool:
        """Make one optimizer step from one window of batches; nothing here waits for the GPU.

        False when its memory ran out: then nothing has changed, not even where dropout will fall.
        """
        put_back = remember_dice(self._device)
        try:
            gathered = self._gather(window)
        except RuntimeError as error:
            if not ran_out(error):
                raise
            gathered = None
        if gathered is None:  # only here, since the exception itself held on to the activations
            self._optimizer.zero_grad(set_to_none=True)
            put_back()
            release()
            return False
        loss, hits, examples = gathered
        self._count_skipped()  # only here, where the GPU has work already while the CPU waits for its last answer
        self._curves = self._curves_of_epoch
        self._set_rates()
        norm = self._update()
        self._newest_norm = norm if self.arithmetic.scaled else None
        self._meter.add(loss, norm, hits=hits, examples=examples, step=self._place.step + 1)
        return True

    def _count_skipped(self) -> None:
        if self._newest_norm is not None and not math.isfinite(float(self._newest_norm)):
            self._place.skipped += 1
        self._newest_norm = None

    def _set_rates(self) -> None:
        step = self._place.step - self._place.skipped
        set_factor(self._optimizer, self._schedule.factor(step))
        if (beta1 := self._schedule.beta1(step)) is not None:
            set_beta1(self._optimizer, beta1)

    def _gather(self, window: Sequence[Rows]) -> tuple[Tensor, Tensor, int]:
        """Add up the gradients of a window; give its loss, its right answers, and its number of texts."""
        parts = [part for rows in window for part in np.array_split(rows, min(self._ladder.parts, len(rows)))]
        batches = [self._source.load(part).to(self._device) for part in parts]
        weight = self._loss.total_weight(torch.cat([batch.labels for batch in batches]))
        texts = sum(len(batch) for batch in batches)
        loss = torch.zeros((), device=self._device)
        hits = torch.zeros((), dtype=torch.int64, device=self._device)
        for batch in batches:
            share, right = self._share(batch, weight, texts)
            self.arithmetic.scaler.scale(share).backward()  # type: ignore[no-untyped-call]
            loss += share.detach()
            hits += right
        return loss, hits, texts

    def _share(self, batch: Batch, weight: Tensor, texts: int) -> tuple[Tensor, Tensor]:
        with self.arithmetic.autocast():
            output = self._forward(**batch.inputs)
        share = self._loss.share(output.logits, batch.labels, weight)  # (batch, labels) -> ()
        hits = self._loss.hits(output.logits.detach(), batch.labels)
        if self._distillation is None:
            return share, hits
        return self._distillation.mix(share, output.logits, batch.teacher, texts), hits

    def _update(self) -> Tensor:
        """Clip and apply the gathered gradients; give their norm, of the true gradients also under a loss scale."""
        scaler = self.arithmetic.scaler
        scaler.unscale_(self._optimizer)
        norm = self._clip()
        scaler.step(self._optimizer)
        scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        return norm

    def _clip(self) -> Tensor:
        limit = self.wishes.max_grad_norm
        if limit is not None:
            return nn.utils.clip_grad_norm_(self.model.parameters(), limit, foreach=True)
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        return nn.utils.get_total_norm(gradients, foreach=True)

    def _report(self) -> Step:
        reading = self._meter.read()
        scale = self.arithmetic.scaler.get_scale() if self.arithmetic.scaled else None
        self._refuse_divergence(scale)
        return Step(
            step=self._place.step,
            epoch=self._epoch,
            loss=reading.loss,
            learning_rate=encoder_rate(self._optimizer),
            grad_norm=reading.grad_norm,
            loss_scale=scale,
            examples_per_second=reading.examples_per_second,
            eta_seconds=self._seconds_left(reading.seconds_per_step),
            logged=reading.logged,
            values=self._curves | {"accuracy": reading.accuracy},
        )

    def _further_curves(self) -> dict[str, float]:
        values: dict[str, float] = {}
        if self._freezing.active:
            values["trainable_parameters"] = self._freezing.open_parameters()
        if self.wishes.curriculum is not None:
            values["curriculum_rows"] = sum(len(rows) for window in self._windows for rows in window)
        return values

    def _seconds_left(self, seconds_per_step: float) -> float:
        left = self._total_steps - self._place.step
        evaluations = math.ceil(left / (self.wishes.eval_steps or len(self._windows)))
        return left * seconds_per_step + evaluations * self._meter.newest_pause

    def _refuse_divergence(self, scale: float | None) -> None:
        # Under a loss scale an overflow of the gradients is no divergence: such a step is skipped.
        bad_step, exploded = self._meter.first_bad_step(norms=not self.arithmetic.scaled), self._meter.exploded_step()
        if scale is not None and scale < LEAST_SCALE and bad_step is None:
            bad_step = self._place.step
        if exploded is not None and (bad_step is None or exploded < bad_step):
            raise self._diverged(exploded, f"the norm of its gradients is above {EXPLODED_NORM:g}: they exploded")
        if bad_step is not None:
            raise self._diverged(bad_step, "the loss or its gradients are no longer finite")

    def _diverged(self, step: int, what: str) -> JobFailure:
        rate = self._schedule.factor(step - 1) * self._peak
        fp16 = " or set precision to 'bf16' or 'fp32'" if self.arithmetic.scaled else ""
        clip = "" if self.wishes.max_grad_norm is not None else ", set max_grad_norm to 1.0"
        return JobFailure(
            detail=f"Training diverged at step {step}: {what} (learning rate {rate:.3g}).",
            code="training-diverged",
            remedy=f"Lower learning_rate (a tenth is a good try), lengthen the warm-up{clip}{fp16}.",
            extra={"step": step, "learning_rate": rate},
        )

    def _save_is_due(self) -> bool:
        if self._place.step >= self._total_steps:
            return False
        match self.wishes.save_strategy:
            case "steps":
                return self._place.step % (self.wishes.save_steps or 1) == 0
            case "epoch":
                return self._place.window == 0
            case _:
                return False

    def _evaluation_is_due(self) -> bool:
        place = self._place
        if place.step == place.evaluated:
            return False
        if place.step >= self._total_steps or self._cut_short:
            return True
        if self.wishes.eval_steps is not None:
            return place.step % self.wishes.eval_steps == 0
        return place.window == 0

    def _judge(self, evaluate: Evaluate) -> Evaluated:
        self._refuse_divergence(None)
        with self._meter.paused():
            evaluation = evaluate(self.model, self.arithmetic.autocast)
            value = read_metric(evaluation, self.wishes.metric_for_best_model)
            improved = self._stopping.update(value, self._place.step)
            self._place.evaluated = self._place.step
            if improved:
                save_weights(self.model, self._best_file)
            self.model.train()
        return Evaluated(self._place.step, self._epoch, evaluation, value, improved)

    def _finish(self) -> Stopped:
        step = self._place.step
        best_step = self._stopping.best_step or step
        if best_step != step:
            load_weights(self.model, self._best_file)
        return Stopped(self._reason(), step, best_step)

    def _reason(self) -> StopReason:
        if self._place.step < self._total_steps:
            return self._cut_short or "early_stopping"
        return "completed" if self.wishes.max_steps is None else "max_steps"
