"""Steps as the process makes them that decides: until memory takes them, and with all others where there are some."""

from collections.abc import Generator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from worker.training.events import Recomputing, Split
from worker.training.ladder import Ladder
from worker.training.source import Rows
from worker.training.stepping import Made, Stepping
from worker.training.team import Team


class Leading:
    """Makes the steps of a run, alone without a ``team``; what it decides, the others are told."""

    def __init__(self, stepping: Stepping, ladder: Ladder, team: Team | None) -> None:
        self._stepping = stepping
        self._ladder = ladder
        self._team = team

    def begin(self, model: nn.Module, resumed_from: Path | None, step: int) -> None:
        """Bring everybody to where this process is."""
        if self._team is not None:
            self._team.begin(model, resumed_from, step)

    def make(self, window: Sequence[Rows], *, finished: int, epoch: int) -> Generator[Split | Recomputing, None, Made]:
        """Make the step that follows so many ``finished`` ones, and tell of the rungs that memory asks for.

        Raises JobFailure ``gpu-out-of-memory``.
        """
        ladder = self._ladder
        while (made := self._try(window, finished, epoch)) is None:
            if not ladder.climb():
                raise ladder.exhausted(finished + 1)
            yield Recomputing(finished + 1) if ladder.recomputes else Split(finished + 1, ladder.parts)
        return made

    def _try(self, window: Sequence[Rows], finished: int, epoch: int) -> Made | None:
        if self._team is not None:
            self._team.make(window, finished=finished, epoch=epoch, ladder=self._ladder.state())
        return self._stepping.step(window, finished)

    def dice(self, device: torch.device) -> dict[str, Tensor]:
        """Give where the random generators of the others stand, by name."""
        return {} if self._team is None else self._team.gather_dice(device)
