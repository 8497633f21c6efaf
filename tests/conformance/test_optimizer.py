"""The optimizer against its definition: AdamW by its formula, rates by layer, what is frozen, clipping, compiling."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from tests.worker.tiny_models import tiny_config
from tests.worker.training.small import Small, never, small_run, texts, wishes
from worker.models.depth import depths
from worker.models.head import head_parameters
from worker.training.compiling import compile_model
from worker.training.events import Step
from worker.training.loop import Training
from worker.training.optimizer import make_optimizer, set_factor

DEPTHS = {"embedding.weight": 0, "norm.weight": 1, "norm.bias": 1}


def weights(training: Training) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in training.model.state_dict().items()}


def adamw_by_hand(
    weight: Tensor, gradients: list[Tensor], *, rate: float, betas: tuple[float, float], eps: float, decay: float
) -> Tensor:
    """Loshchilov and Hutter 2019, algorithm 2 with decoupled decay, in double precision."""
    weight, mean, square = weight.double(), torch.zeros(()).double(), torch.zeros(()).double()
    for step, gradient in enumerate(gradients, start=1):
        mean = betas[0] * mean + (1 - betas[0]) * gradient
        square = betas[1] * square + (1 - betas[1]) * gradient**2
        unbiased, unbiased_square = mean / (1 - betas[0] ** step), square / (1 - betas[1] ** step)
        weight = weight - rate * (unbiased / (unbiased_square.sqrt() + eps) + decay * weight)
    return weight


@pytest.mark.parametrize(("betas", "eps", "decay"), [((0.9, 0.999), 1e-8, 0.01), ((0.8, 0.95), 1e-3, 0.3)])
def test_steps_are_those_of_the_formula(betas: tuple[float, float], eps: float, decay: float) -> None:
    torch.manual_seed(0)
    model = Small()
    chosen = wishes(adam_beta1=betas[0], adam_beta2=betas[1], adam_epsilon=eps, weight_decay=decay, learning_rate=0.02)
    optimizer = make_optimizer(model, set(), chosen)
    set_factor(optimizer, 1.0)
    matrix, norm = model.classifier.weight, model.norm.weight
    start = [matrix.detach().clone(), norm.detach().clone()]
    gradients = [[torch.randn_like(value) for value in (matrix, norm)] for _ in range(5)]
    for one, other in gradients:
        matrix.grad, norm.grad = one.clone(), other.clone()
        optimizer.step()
    for index, (value, decays) in enumerate(((matrix, decay), (norm, 0.0))):
        sequence = [pair[index].double() for pair in gradients]
        expected = adamw_by_hand(start[index], sequence, rate=0.02, betas=betas, eps=eps, decay=decays)
        assert torch.allclose(value.detach().double(), expected, atol=1e-6)


def adafactor_by_hand(weight: Tensor, gradients: list[Tensor], *, rate: float, decay: float) -> Tensor:
    """Shazeer and Stern 2018, algorithm 4, with decoupled decay, in double precision."""
    weight, rows, columns = weight.double(), 0.0, 0.0
    for step, gradient in enumerate(gradients, start=1):
        keep = 1 - step**-0.8
        square = gradient**2
        rows = keep * rows + (1 - keep) * square.mean(dim=1, keepdim=True)
        columns = keep * columns + (1 - keep) * square.mean(dim=0, keepdim=True)
        update = gradient / (rows @ columns / rows.mean()).sqrt()
        update = update / max(1.0, float(update.square().mean().sqrt()))
        relative = max(1e-3, float(weight.square().mean().sqrt())) * min(rate, step**-0.5)
        weight = weight * (1 - rate * decay) - relative * update
    return weight


def test_steps_of_adafactor_are_those_of_its_formula() -> None:
    torch.manual_seed(0)
    model = Small()
    optimizer = make_optimizer(model, set(), wishes(optim="adafactor", learning_rate=0.02, weight_decay=0.1))
    set_factor(optimizer, 1.0)
    matrix = model.embedding.weight
    start, gradients = matrix.detach().clone(), [torch.randn_like(matrix) for _ in range(5)]
    for gradient in gradients:
        matrix.grad = gradient.clone()
        optimizer.step()
    expected = adafactor_by_hand(start, [each.double() for each in gradients], rate=0.02, decay=0.1)
    assert torch.allclose(matrix.detach().double(), expected, atol=1e-6)


def test_each_layer_learns_more_slowly_than_the_one_above() -> None:
    model = AutoModelForSequenceClassification.from_config(tiny_config("bert"))
    head = head_parameters(model)
    chosen = wishes(learning_rate=1e-3, layerwise_lr_decay=0.8, head_learning_rate_multiplier=2.0)
    optimizer = make_optimizer(model, head, chosen, depths(model))
    set_factor(optimizer, 1.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates["bert.encoder.layer.1.output.dense.weight"] == pytest.approx(1e-3)
    assert rates["bert.encoder.layer.0.output.dense.weight"] == pytest.approx(0.8e-3)
    assert rates["bert.embeddings.word_embeddings.weight"] == pytest.approx(0.64e-3)
    assert rates["classifier.weight"] == pytest.approx(2e-3)
    assert set(rates) == {name for name, _ in model.named_parameters()}


def test_one_rate_for_all_layers_makes_no_more_groups_than_needed() -> None:
    """Many small groups would be slower on a GPU."""
    model = AutoModelForSequenceClassification.from_config(tiny_config("bert"))
    optimizer = make_optimizer(model, head_parameters(model), wishes(), depths(model))
    assert len(optimizer.param_groups) == 4


def test_frozen_base_stays_bit_by_bit_and_the_head_learns(tmp_path: Path) -> None:
    training = small_run(tmp_path, texts(12), freeze_base=True, weight_decay=0.5, depths=DEPTHS)
    before = weights(training)
    steps = [event for event in training.run(never) if isinstance(event, Step)]
    changed = {name for name, value in weights(training).items() if not torch.equal(value, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert {step.values["trainable_parameters"] for step in steps} == {2 * 8 + 2}


def test_layers_thaw_from_the_top_in_their_epochs(tmp_path: Path) -> None:
    """Three steps an epoch: the head alone, then the norm too, then everything."""
    training = small_run(
        tmp_path, texts(12), unfreeze_schedule={"1": 1, "2": "all"}, depths=DEPTHS, logging_steps=1, warmup_steps=0,
        total_steps=9,
    )  # fmt: skip
    before = weights(training)
    changed: dict[int, set[str]] = {}
    for event in training.run(never):
        if isinstance(event, Step) and event.step % 3 == 0:
            now = weights(training)
            changed[event.step // 3] = {name for name in now if not torch.equal(now[name], before[name])}
            before = now
    head, norm = {"classifier.weight", "classifier.bias"}, {"norm.weight", "norm.bias"}
    assert changed == {1: head, 2: head | norm, 3: head | norm | {"embedding.weight"}}


def test_more_layers_than_there_are_open_all_layers_but_not_the_embeddings(tmp_path: Path) -> None:
    training = small_run(tmp_path, texts(12), unfreeze_schedule={"0": 99}, depths=DEPTHS)
    before = weights(training)
    list(training.run(never))
    after = weights(training)
    assert torch.equal(after["embedding.weight"], before["embedding.weight"])
    assert not torch.equal(after["norm.weight"], before["norm.weight"])


def test_clipping_is_of_the_true_gradient_under_a_loss_scale(tmp_path: Path) -> None:
    """Clipping scaled gradients would cut a step to a 65,536th."""
    common: dict[str, Any] = {"total_steps": 3, "warmup_steps": 0, "adam_epsilon": 1.0, "logging_steps": 1}
    moved = {}
    for precision in ("fp32", "fp16"):
        training = small_run(
            tmp_path / precision, texts(12), model=Small(dropout=0.0), max_grad_norm=0.05, precision=precision, **common
        )
        torch.manual_seed(0)
        training.model.load_state_dict(Small(dropout=0.0).state_dict())
        before = weights(training)
        steps = [event for event in training.run(never) if isinstance(event, Step)]
        moved[precision] = {name: value - before[name] for name, value in weights(training).items()}
        assert all(step.grad_norm is not None and 0.05 < step.grad_norm < 10 for step in steps)
    for name, expected in moved["fp32"].items():
        assert torch.allclose(moved["fp16"][name], expected, atol=2e-5, rtol=0.05), name


def test_clipped_step_is_that_of_the_gradient_scaled_to_the_limit() -> None:
    """As clip_grad_norm_ is defined: times limit / norm."""
    gradient = torch.tensor([3.0, 4.0])
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_([parameter], 1.0, foreach=True)
    assert float(norm) == 5.0
    assert torch.allclose(parameter.grad, gradient / 5.0, atol=1e-6)


def test_compiled_model_takes_the_same_steps(tmp_path: Path) -> None:
    """By dynamo, without a compiler of machine code: what is compiled is the model that is trained."""
    runs = []
    for name in ("plain", "compiled"):
        model = Small(dropout=0.0)
        torch.manual_seed(0)
        model.load_state_dict(Small(dropout=0.0).state_dict())
        compiled = compile_model(model, "eager") if name == "compiled" else None
        training = small_run(
            tmp_path / name, texts(12), model=model, total_steps=6, forward=compiled.forward if compiled else None
        )
        list(training.run(never))
        runs.append(weights(training))
    assert all(torch.allclose(runs[0][name], runs[1][name], atol=1e-6) for name in runs[0])


def test_where_nothing_can_be_compiled_the_model_itself_is_trained() -> None:
    def broken(_graph: Any, _inputs: Any) -> Any:
        raise RuntimeError("no compiler")

    model = Small()
    compiled = compile_model(model, broken)
    assert compiled.forward is model
    assert compiled.obstacle
