"""A head from a linear probe: the least loss on the frozen features, and nothing else touched."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from tests.worker.toy_task import MakeSpec, Recording, toy_moods, toy_rows, toy_sets
from worker.events import Evaluated
from worker.head_start import DECAY, fit
from worker.pipeline import run
from worker.training.losses import WindowLoss

pytestmark = pytest.mark.usefixtures("restored_torch")


def test_the_fit_is_that_of_a_logistic_regression() -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (300,))
    found = torch.randn(300, 5) * torch.tensor([0.01, 1.0, 7.0, 1.0, 1.0]) + labels[:, None] * 0.5 + 4.0
    layer = nn.Linear(5, 3)
    fit(layer, found, labels, WindowLoss(None, 0.0))
    scaled = ((found - found.mean(0)) / found.std(0, correction=0)).numpy()
    known = LogisticRegression(C=1 / (DECAY * 300), max_iter=1000, tol=1e-8).fit(scaled, labels.numpy())
    likely = layer(found).softmax(-1).detach().numpy()
    np.testing.assert_allclose(likely, known.predict_proba(scaled), atol=5e-3)


def test_class_weights_move_the_fit() -> None:
    torch.manual_seed(0)
    labels = (torch.rand(200) < 0.1).long()
    found = torch.randn(200, 3)
    shares = []
    for weights in (None, torch.tensor([1.0, 9.0])):
        layer = nn.Linear(3, 2)
        fit(layer, found, labels, WindowLoss(weights, 0.0))
        shares.append(float((layer(found).argmax(-1) == 1).float().mean()))
    assert shares[0] < 0.1 < 0.3 < shares[1]


@pytest.mark.parametrize("kind", ["one label", "sets of labels", "two tasks"])
def test_a_job_begins_with_a_head_that_answers_already(make_spec: MakeSpec, recording: Recording, kind: str) -> None:
    rows = toy_sets if kind == "sets of labels" else toy_rows
    family = {"type": "multitask", "tasks": {"mood": {"dataset_id": "ds_mood", "loss_weight": 0.5}}}
    losses = {}
    for start in ("random", "probe"):
        spec = make_spec(
            [*rows(60), *rows(30, split="validation")],
            name=start,
            request={"family": family} if kind == "two tasks" else {},
            tasks={"mood": toy_moods(40)} if kind == "two tasks" else {},
            head_init=start,
            max_steps=1,
            learning_rate=1e-9,
            dropout=0.0,
        )
        run(spec, recording, lambda: False)
        losses[start] = recording.of(Evaluated)[-1].evaluation.loss
    assert losses["probe"] < losses["random"] - 0.05
