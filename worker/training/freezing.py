"""Which parameters learn in which epoch: the head always, the layers below it from the top down.

Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018.
"""

from collections.abc import Collection, Mapping

from torch import nn

from app.schemas.base import All
from app.schemas.hyperparameters import ResolvedHyperparameters


class Freezing:
    """Opens and closes the parameters of one model; a pure function of the epoch, so that a resumed run needs no state.

    A model whose base is to learn from the start is left as it is.
    """

    def __init__(
        self, model: nn.Module, head: Collection[str], depths: Mapping[str, int], wishes: ResolvedHyperparameters
    ) -> None:
        """Close what never learns; what ``depths`` does not name has depth 1."""
        self._parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self._height = {name: None if name in head else depths.get(name, 1) for name in self._parameters}
        self._top = max((depth for depth in self._height.values() if depth is not None), default=0)
        self._opens: dict[int, int | All] = {0: 0} if wishes.freeze_base else {}
        if wishes.unfreeze_schedule is not None:
            self._opens = {0: 0}
            self._opens.update((int(epoch), layers) for epoch, layers in wishes.unfreeze_schedule.items())
        if self._opens:
            self.enter(max(self._opens))

    @property
    def active(self) -> bool:
        """Whether anything is ever closed."""
        return bool(self._opens)

    def enter(self, epoch: int) -> None:
        """Open what learns in an epoch, counted from 0, and close the rest."""
        if not self._opens:
            return
        layers = self._opens[max(start for start in self._opens if start <= epoch)]
        for name, parameter in self._parameters.items():
            parameter.requires_grad_(self._is_open(name, layers))
            if not parameter.requires_grad:
                parameter.grad = None

    def open_parameters(self) -> int:
        """Count the numbers that learn now."""
        return sum(parameter.numel() for parameter in self._parameters.values() if parameter.requires_grad)

    def _is_open(self, name: str, layers: int | All) -> bool:
        depth = self._height[name]
        if depth is None or layers == "all":
            return True
        return depth > max(0, self._top - layers)
