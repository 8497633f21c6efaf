"""Word embeddings of those ids alone that occur in a job: the same training with a fraction of the table.

A row that no text asks for has no gradient, so that of all an optimizer does only the decay of weights reaches it. A
step reads and writes the whole table several times all the same, and most tables are far larger than what a job reads:
that of MiniLM is half of its weights, and 2,000 tweets have a fifth of its ids.
"""

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from app.schemas.hyperparameters import ResolvedHyperparameters
from worker.models.packed import ANATOMIES

Ids = NDArray[np.int64]
MOST = 0.5
"""Share of the table from which on leaving rows away is not worth the trouble."""


class InUse(nn.Module):
    """Rows for the ids that occur, and behind them one of ones for all others: what decays it has decayed them."""

    def __init__(self, table: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        rows = table.weight.detach()[used]
        self.weight = nn.Parameter(torch.cat([rows, torch.ones_like(rows[:1])]), table.weight.requires_grad)
        places = torch.full((len(table.weight),), -1, device=used.device)  # what is not used is refused
        places[used] = torch.arange(len(used), device=used.device)
        self.register_buffer("places", places, persistent=False)
        self._padding = None if table.padding_idx is None else int(places[table.padding_idx])

    def forward(self, ids: Tensor) -> Tensor:
        """Look ids up, of any shape; give one dimension more."""
        places = cast(Tensor, self.places)
        return functional.embedding(places[ids], self.weight, self._padding)


class Compact:
    """A model whose table holds only some ids, until it is released."""

    def __init__(self, model: PreTrainedModel, used: Ids) -> None:
        """Put the smaller table in; ids that are not ``used`` are errors from here on."""
        self._model = model
        self._table = _table(model)
        self._used = torch.from_numpy(used).to(self._table.weight.device)
        self._in_use = InUse(self._table, self._used)
        model.set_input_embeddings(self._in_use)

    def release(self) -> None:
        """Put the whole table back, with what its rows have learned and by what the others have decayed."""
        rows = self._in_use.weight.detach()
        with torch.no_grad():
            self._table.weight.mul_(rows[-1])
            self._table.weight[self._used] = rows[:-1]
        self._model.set_input_embeddings(self._table)


def ids_in_use(
    model: nn.Module, wishes: ResolvedHyperparameters, splits: Iterable[NDArray[np.int32]], *, padding: int
) -> Ids | None:
    """Give the ids that a job needs, in order; None: its table stays whole.

    ``splits`` are the ids of all texts that the model meets until the table is whole again. What decides must be the
    same in every attempt, since a checkpoint has the rows that training had.
    """
    if not isinstance(model, PreTrainedModel) or type(model).__name__ not in ANATOMIES or wishes.torch_compile:
        return None
    if wishes.optim != "adamw" or wishes.freeze_base or wishes.unfreeze_schedule is not None:
        return None  # adafactor looks at whole tables; and a frozen one costs nothing
    table = _table(model)
    met = np.zeros(len(table.weight), dtype=np.bool_)
    met[[0, padding, *([] if table.padding_idx is None else [table.padding_idx])]] = True  # 0 fills rows of tokens up
    for ids in splits:
        met[ids] = True
    used = np.flatnonzero(met)
    return used if len(used) < MOST * len(met) else None


def _table(model: PreTrainedModel) -> nn.Embedding:
    return cast(nn.Embedding, model.get_input_embeddings())
