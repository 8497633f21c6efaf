"""The share of padding is counted over all that training computes."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tests.worker.training.small import Texts, never, small_run, texts
from worker.batch import Batch


class Ragged(Texts):
    """Texts of which row r has 1 + r tokens, up to the six that there are."""

    def load(self, rows: NDArray[np.int64]) -> Batch:
        batch = super().load(rows)
        mask = torch.arange(6) <= torch.from_numpy(rows)[:, None]
        return Batch(batch.inputs | {"attention_mask": mask.long()}, batch.labels)


def test_every_batch_of_a_window_counts(tmp_path: Path) -> None:
    source = Ragged(texts(6).ids, order=[[0, 5], [4, 5], [3, 5]])
    training = small_run(tmp_path, source, total_steps=2, gradient_accumulation_steps=2)
    assert training.padding_fraction is None
    list(training.run(never))
    assert training.padding_fraction == (5 + 1 + 2) / 36
