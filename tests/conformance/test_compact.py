"""Training with the embeddings of the ids that occur computes what training with the whole table does."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tests.conformance.test_packing import CPU, batch, classifier
from tests.worker.training.small import wishes
from worker.models.compact import Compact, ids_in_use
from worker.models.head import head_parameters
from worker.models.packed import packed
from worker.training.optimizer import make_optimizer, set_factor

STEPS = 12


def train(model: Any, inputs: dict[str, torch.Tensor]) -> None:
    optimizer = make_optimizer(model, head_parameters(model), wishes(learning_rate=1e-3, weight_decay=0.3))
    forward, target = packed(model), torch.arange(len(inputs["input_ids"])) % 3
    for step in range(STEPS):
        set_factor(optimizer, 1 - step / STEPS)
        torch.nn.functional.cross_entropy(forward(**inputs).logits, target).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
    forward.release()


@pytest.mark.usefixtures("restored_torch")
@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_weights_learn_and_decay_as_in_the_whole_table(family: str) -> None:
    whole = classifier(family)
    compact, inputs = copy.deepcopy(whole), batch(whole)
    before = whole.get_input_embeddings().weight.detach().clone()
    padding = whole.config.pad_token_id
    used = ids_in_use(compact, wishes(), [inputs["input_ids"].numpy().ravel()], padding=padding)
    assert used is not None
    assert set(used) == {0, padding, *inputs["input_ids"].ravel().tolist()}

    train(whole, inputs)
    smaller = Compact(compact, used)
    assert len(compact.get_input_embeddings().weight) == len(used) + 1
    assert [name for name, _ in compact.named_parameters()] == [name for name, _ in whole.named_parameters()]
    train(compact, inputs)
    with pytest.raises(IndexError):
        compact(input_ids=torch.tensor([[min(set(range(400)) - set(used))]]).to(CPU))
    smaller.release()

    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(compact.state_dict()[name], tensor, atol=5e-6, rtol=0)
    others = np.setdiff1d(np.arange(400), used)
    table = compact.get_input_embeddings().weight.detach()
    torch.testing.assert_close(table[others], whole.get_input_embeddings().weight.detach()[others], atol=0, rtol=1e-6)
    assert not torch.equal(table[others], before[others])  # they have decayed
    assert not torch.equal(table[used], before[used])


@pytest.mark.parametrize(
    "change",
    [{"optim": "adafactor"}, {"freeze_base": True}, {"unfreeze_schedule": {"1": "all"}}, {"torch_compile": True}],
)
def test_the_table_stays_whole_where_that_would_be_something_else(change: dict[str, Any]) -> None:
    assert ids_in_use(classifier("bert"), wishes(**change), [np.arange(9)], padding=0) is None
    assert ids_in_use(classifier("electra"), wishes(), [np.arange(9)], padding=0) is None


def test_the_table_stays_whole_where_most_of_it_is_used() -> None:
    assert ids_in_use(classifier("bert"), wishes(), [np.arange(200)], padding=0) is None
    assert ids_in_use(classifier("bert"), wishes(), [np.arange(199)], padding=0) is not None
