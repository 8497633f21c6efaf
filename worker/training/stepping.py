"""One optimizer step: the gradients of a window of batches, clipped and applied. Nothing in it waits for the GPU."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from worker.batch import Batch, moved
from worker.memory import ran_out, release
from worker.training.distillation import Distillation
from worker.training.ladder import Ladder, remember_dice
from worker.training.objective import Objective
from worker.training.optimizer import set_beta1, set_factor
from worker.training.padding import Padding
from worker.training.precision import Arithmetic
from worker.training.schedulers import Schedule
from worker.training.source import Rows, Source
from worker.training.team import Team


@dataclass(frozen=True, slots=True)
class Made:
    """One step; what is a tensor stays on the device until somebody reads it."""

    loss: Tensor
    norm: Tensor
    """Of the gradients before clipping."""
    hits: Tensor
    """Texts that were answered right."""
    texts: int


class Stepping:
    """What makes the steps of a run."""

    def __init__(
        self,
        model: nn.Module,
        forward: nn.Module,
        source: Source,
        *,
        loss: Objective,
        distillation: Distillation | None,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        arithmetic: Arithmetic,
        ladder: Ladder,
        device: torch.device,
        max_grad_norm: float | None,
        team: Team | None = None,
    ) -> None:
        """Take the ``model`` whose weights learn, and what is called in its stead; ``team``: others take part."""
        self.optimizer = optimizer
        self.padding = Padding()
        self._model = model
        self._forward = forward
        self._source = source
        self._loss = loss
        self._distillation = distillation
        self._schedule = schedule
        self._arithmetic = arithmetic
        self._ladder = ladder
        self._device = device
        self._max_grad_norm = max_grad_norm
        self._team = team
        self.skipped = 0
        """Steps of fp16 whose gradients overflowed: nothing was learned in them, so the schedule stood still."""
        self._newest_norm: Tensor | None = None  # of a step that may have been skipped

    def step(self, window: Sequence[Rows], finished: int) -> Made | None:
        """Make one optimizer step from one window of batches, when so many are ``finished``.

        None when its memory ran out, or that of anybody in the team: then nothing has changed, not even where dropout
        will fall.
        """
        put_back = remember_dice(self._device)
        try:
            gathered = self._gather(window)
        except RuntimeError as error:
            if not ran_out(error):
                raise
            gathered = None
        if self._team is not None:
            gathered = self._together(self._team, gathered)
        if gathered is None:  # only here, since the exception itself held on to the activations
            self.optimizer.zero_grad(set_to_none=True)
            put_back()
            release()
            return None
        loss, hits, texts = gathered
        self.count_skipped()  # only here, where the GPU has work already while the CPU waits for its last answer
        self._set_rates(finished - self.skipped)
        norm = self._update()
        self._newest_norm = norm if self._arithmetic.scaled else None
        return Made(loss, norm, hits, texts)

    def count_skipped(self) -> None:
        """Count the newest step if it was skipped; waits for the GPU."""
        if self._newest_norm is not None and not math.isfinite(float(self._newest_norm)):
            self.skipped += 1
        self._newest_norm = None

    def bytes_held(self) -> dict[str, int]:
        """Give what stays in memory between the passes: weights, their gradients while they gather, optimizer state."""
        parameters = list(self._model.parameters())
        state = (value for values in self.optimizer.state.values() for value in values.values())
        return {
            "weights": sum(parameter.nbytes for parameter in parameters),
            "gradients": sum(parameter.nbytes for parameter in parameters if parameter.requires_grad),
            "optimizer": sum(value.nbytes for value in state if isinstance(value, Tensor)),
        }

    def _set_rates(self, step: int) -> None:
        set_factor(self.optimizer, self._schedule.factor(step))
        if (beta1 := self._schedule.beta1(step)) is not None:
            set_beta1(self.optimizer, beta1)

    def _gather(self, window: Sequence[Rows]) -> tuple[Tensor, Tensor, int]:
        """Add up the gradients of a window; give its loss, its right answers, and its number of texts."""
        own = window if self._team is None else self._team.share(window)
        parts = [part for rows in own for part in np.array_split(rows, min(self._ladder.parts, len(rows)))]
        batches = [self._load(part) for part in parts]
        weight = self._weight(batches, window)
        texts = sum(len(rows) for rows in window)
        loss = torch.zeros((), device=self._device)
        hits = torch.zeros((), dtype=torch.int64, device=self._device)
        if not batches:
            self._arithmetic.scaler.scale(loss)  # which would miss its scale in the update
        for batch in batches:
            share, right = self._share(batch.to(self._device), weight, texts)
            self._arithmetic.scaler.scale(share).backward()  # type: ignore[no-untyped-call]
            loss += share.detach()
            hits += right
        return loss, hits, texts

    def _load(self, rows: Rows) -> Batch:
        batch = self._source.load(rows)
        self.padding.add(batch)
        return batch

    def _weight(self, batches: Sequence[Batch], window: Sequence[Rows]) -> Tensor:
        """Give what the shares of a window are divided by; of all of it, whoever has which part."""
        if self._team is None:
            return self._loss.total_weight(moved(torch.cat([batch.labels for batch in batches]), self._device))
        # Hardly anything before this exchange needs the memory of a GPU. Who has not even that must not try once more:
        # the others would take its next word for this one.
        labels = [batch.labels for batch in batches] or [self._source.load(window[0][:1]).labels[:0]]
        try:
            weight = self._loss.total_weight(moved(torch.cat(labels), self._device))
        except torch.OutOfMemoryError as error:
            raise MemoryError from error
        return self._team.add_up(weight)

    def _together(self, team: Team, gathered: tuple[Tensor, Tensor, int] | None) -> tuple[Tensor, Tensor, int] | None:
        """Add up what everybody has gathered; None when somebody's memory ran out."""
        learning = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        learned = team.settle(learning, fine=gathered is not None)
        if learned is None or gathered is None:
            return None
        team.add_up_gradients(learned)
        loss, hits, texts = gathered
        return team.add_up(loss), team.add_up(hits), texts

    def _share(self, batch: Batch, weight: Tensor, texts: int) -> tuple[Tensor, Tensor]:
        with self._arithmetic.autocast():
            output = self._forward(**batch.inputs)
        share = self._loss.share(output.logits, batch.labels, weight)  # (batch, labels) -> ()
        hits = self._loss.hits(output.logits.detach(), batch.labels)
        if self._distillation is None:
            return share, hits
        return self._distillation.mix(share, output.logits, batch.teacher, texts), hits

    def _update(self) -> Tensor:
        """Clip and apply the gathered gradients; give their norm, of the true gradients also under a loss scale."""
        scaler = self._arithmetic.scaler
        scaler.unscale_(self.optimizer)
        norm = self._clip()
        scaler.step(self.optimizer)
        scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def _clip(self) -> Tensor:
        limit = self._max_grad_norm
        if limit is not None:
            return nn.utils.clip_grad_norm_(self._model.parameters(), limit, foreach=True)
        gradients = [parameter.grad for parameter in self._model.parameters() if parameter.grad is not None]
        return nn.utils.get_total_norm(gradients, foreach=True)
