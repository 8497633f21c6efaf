"""The processes that train one job together, as the one that leads them puts them together."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

import torch

from app.errors import JobFailure
from worker.data.shared import write_ids, write_split, write_teacher
from worker.events import AttemptSpec
from worker.export import weights
from worker.helpers import Helpers
from worker.models.compact import Ids
from worker.orders import Assignment
from worker.setup import Setup
from worker.teaching import Taught
from worker.training.source import Source
from worker.training.team import Team, meet, part

FOLDER = "crew"
MEETING = "crew.meeting"


class Crew:
    """Helpers, for as long as it is entered; they start at once, and import while the leader prepares."""

    def __init__(self, spec: AttemptSpec, abandon: Callable[[JobFailure], None]) -> None:
        """Start them; ``abandon`` is to end this process when one is lost and this one waits for it."""
        self._spec = spec
        self._helpers = Helpers(spec.devices - 1, devices=spec.cuda_device, lost=abandon)

    def __enter__(self) -> Self:
        self._helpers.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._helpers.__exit__(kind, error, trace)
        finally:
            part()

    def gather(self, setup: Setup, source: Source, ids: Ids | None) -> Team | None:
        """Give as many of them as are wanted all that they need, and wait until they are ready; None: none is."""
        size = setup.data.hyperparameters.devices
        if size == 1:
            self._helpers.dismiss()
            return None
        folder, meeting = self._spec.work_dir / FOLDER, self._spec.work_dir / MEETING
        folder.mkdir()
        weights.save(setup.model, folder)
        write_split(setup.data.train.split, folder)
        if ids is not None:
            write_ids(ids, folder)
        if isinstance(source, Taught):
            write_teacher(source.answers.numpy(), folder)
        self._helpers.assign(
            [
                Assignment(
                    rank=rank,
                    size=size,
                    meeting=meeting,
                    spec=self._spec,
                    folder=folder,
                    hyperparameters=setup.data.hyperparameters,
                    settings=setup.data.encoder.settings,
                    tokenizer=setup.tokenizer,
                    total_steps=setup.data.total_steps,
                    packed=setup.packed is not None,
                    threads=torch.get_num_threads(),
                )
                for rank in range(1, size)
            ]
        )
        meet(meeting, 0, size, setup.device)
        return Team(0, size, self._helpers.order)

    def dismiss(self) -> None:
        """Let them go: training is over."""
        self._helpers.dismiss()
        part()
