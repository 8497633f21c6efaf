"""The training loop: a generator that trains and says what happened. It knows no job, no file format, no queue."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from app.schemas.datasets import ProblemType
from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.metrics import Evaluation
from worker.checkpoint_files import damaged
from worker.events import Interrupted, StopReason
from worker.heads import Head
from worker.orders import Make
from worker.training.checkpoint import BEST, batch_of, load_state, load_weights, save_state, save_weights, take_best
from worker.training.distillation import Distillation
from worker.training.divergence import diverged_at, divergence
from worker.training.events import Evaluated, LastStep, Recomputing, SaveDue, Split, Step, Stopped, TrainingEvent
from worker.training.freezing import Freezing
from worker.training.ladder import Ladder
from worker.training.leading import Leading
from worker.training.meter import Meter
from worker.training.objective import objective
from worker.training.optimizer import encoder_rate, make_optimizer, peak_rate
from worker.training.place import Place
from worker.training.precision import Arithmetic
from worker.training.schedulers import Schedule
from worker.training.source import Rows, Source
from worker.training.stepping import Stepping
from worker.training.stopping import Stopping, read_metric
from worker.training.team import Team

Autocast = Callable[[], AbstractContextManager[None]]
Evaluate = Callable[[nn.Module, Autocast], Evaluation]


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
        team: Team | None = None,
    ) -> None:
        """Take a model that is on ``device`` already; ``evaluate`` None: no validation, the last weights are the best.

        ``head`` names the parameters that learn at the head's rate, ``between`` those that learn at the base's rate but
        are new and never frozen, ``depths`` the layers of the others; ``forward`` is the model to call in training when
        it is not ``model``, ``recompute`` turns its gradient checkpointing on; ``folder`` keeps the best weights. Of
        several ``heads``, ``labels`` are those of the first. With a ``team``, other processes take part in every step:
        this one leads and calls ``run``, or is told to ``take_part``.
        """
        self.wishes = wishes
        self.arithmetic = Arithmetic(device, wishes.precision)
        self.model = model
        self._source = source
        self._total_steps = total_steps
        self._best_file = folder / BEST
        self._evaluate = evaluate
        self.device = device
        self._freezing = Freezing(model, {*head, *between}, depths or {}, wishes)
        self._schedule = Schedule.of(wishes, total_steps)
        self._ladder = Ladder(wishes.batch_size, recompute, recomputed_from_the_start=wishes.gradient_checkpointing)
        self.loss = objective(wishes, labels, device, problem_type=problem_type, heads=heads)
        self._stepping = Stepping(
            model,
            model if forward is None else forward,
            source,
            loss=self.loss,
            distillation=None if wishes.distillation is None else Distillation(wishes.distillation),
            optimizer=make_optimizer(model, head, wishes, depths),
            schedule=self._schedule,
            arithmetic=self.arithmetic,
            ladder=self._ladder,
            device=device,
            max_grad_norm=wishes.max_grad_norm,
            team=team,
        )
        self._leading = Leading(self._stepping, self._ladder, team)
        self._resumed_from: Path | None = None
        self._followed_epoch: int | None = None
        self._peak = peak_rate(self._stepping.optimizer)
        self._stopping = Stopping(
            wishes.metric_for_best_model, wishes.early_stopping_patience, wishes.early_stopping_threshold
        )
        self._place = Place()
        self._cut_short: StopReason | None = None
        self._windows: list[Sequence[Rows]] = []
        self._curves_of_epoch: dict[str, float] = {}
        self._curves: dict[str, float] = {}  # of the newest step, which may have been the last of its epoch
        self._meter = Meter(device)

    def run(
        self, should_stop: Callable[[], bool], finish: Callable[[], StopReason | None] = lambda: None
    ) -> Iterator[TrainingEvent]:
        """Train until the steps or the patience run out, or ``finish`` gives a reason, then put the best weights back.

        Raises Interrupted at a step boundary when ``should_stop`` says so, JobFailure ``training-diverged`` or
        ``gpu-out-of-memory``.
        """
        self._plan_epoch()
        self._leading.begin(self.model, self._resumed_from, self._place.step)
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
            if self._place.save_is_due(self.wishes, self._total_steps):
                yield SaveDue(self._place.step)
        yield LastStep(self._place.step)
        yield self._finish()

    def take_part(self, order: Make) -> None:
        """Take part in a step that another process leads."""
        if order.epoch != self._followed_epoch:
            self._followed_epoch = order.epoch
            self._freezing.enter(order.epoch)
        self._ladder.restore({"parts": order.parts, "recomputes": order.recomputes})
        self._stepping.step([np.array(rows, dtype=np.int64) for rows in order.rows], order.finished)

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
        return self._stepping.bytes_held()

    def save(self, folder: Path, *, fingerprint: str, notes: Mapping[str, Any] | None = None) -> None:
        """Write everything that ``resume`` needs, and the caller's ``notes``, which are JSON.

        Between two events, or after Interrupted.
        """
        self._stepping.count_skipped()
        place = self._place
        state: dict[str, Any] = {
            "batch": [self.wishes.batch_size, self.wishes.gradient_accumulation_steps],
            "place": [place.step, place.epoch, place.window, place.evaluated, self._stepping.skipped],
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
            optimizer=self._stepping.optimizer,
            state=state,
            best=best,
            fingerprint=fingerprint,
            dice=self._leading.dice(self.device),
        )

    def resume(self, folder: Path, *, fingerprint: str) -> dict[str, Any]:
        """Go on where ``save`` was called: on the same device and threads, bit by bit as if never interrupted.

        Gives the notes that were saved. Raises JobFailure ``damaged-checkpoint``.
        """
        batch = (self.wishes.batch_size, self.wishes.gradient_accumulation_steps)
        if batch_of(folder) not in (batch, None):
            raise damaged("its batches were of another size")
        state = load_state(folder, model=self.model, optimizer=self._stepping.optimizer, fingerprint=fingerprint)
        *place, self._stepping.skipped = state["place"]
        self._place = Place(*place)
        self._stopping = Stopping.from_state(state["stopping"])
        self.arithmetic.scaler.load_state_dict(state["scaler"])
        self._meter.restore(state["loss"])
        self._ladder.restore(state["ladder"])
        self._resumed_from = folder
        if self._evaluate is not None:
            take_best(folder, self._best_file)
        notes: dict[str, Any] = state["notes"]
        return notes

    @property
    def padding_fraction(self) -> float | None:
        """Say what share of the tokens that went through the model only filled batches up; None before the first."""
        return self._stepping.padding.fraction

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
        place = self._place
        made = yield from self._leading.make(self._windows[place.window], finished=place.step, epoch=place.epoch)
        place.step += 1
        place.window += 1
        self._curves = self._curves_of_epoch
        self._meter.add(made.loss, made.norm, hits=made.hits, examples=made.texts, step=place.step)
        if place.window == len(self._windows):
            place.epoch, place.window = place.epoch + 1, 0
            self._plan_epoch()

    def _report(self) -> Step:
        reading = self._meter.read()
        scale = self.arithmetic.scaler.get_scale() if self.arithmetic.scaled else None
        self._refuse_divergence(scale)
        return Step(
            step=self._place.step,
            epoch=self._epoch,
            loss=reading.loss,
            learning_rate=encoder_rate(self._stepping.optimizer),
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
        found = diverged_at(self._meter, self._place.step, scaled=self.arithmetic.scaled, scale=scale)
        if found is not None:
            step, what = found
            rate = self._schedule.factor(step - 1) * self._peak
            clipped = self.wishes.max_grad_norm is not None
            raise divergence(step, what, rate=rate, scaled=self.arithmetic.scaled, clipped=clipped)

    def _evaluation_is_due(self) -> bool:
        return self._place.evaluation_is_due(self.wishes, self._total_steps, last=self._cut_short is not None)

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
