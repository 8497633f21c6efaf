"""Training without padding computes what padded training does: logits, gradients, dropout, steps, a resumed run."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForSequenceClassification

from tests.worker.tiny_models import tiny_config
from tests.worker.toy_task import MakeSpec, Recording, toy_rows, toy_sets
from worker.events import Resolved, Used
from worker.judging import Judge
from worker.memory import Portion
from worker.models import dropped_attention
from worker.models.dropping import CheapDropout, cheapen, kept, masked
from worker.models.packed import Packed, obstacle, packed
from worker.models.packing import Packing, attend
from worker.models.recompute import recompute
from worker.narration import Narrator
from worker.pipeline import run
from worker.setup import set_up

pytestmark = pytest.mark.usefixtures("restored_torch")

CPU = torch.device("cpu")
FAMILIES = ["bert", "camembert", "distilbert", "roberta", "xlm-roberta"]
families = pytest.mark.parametrize("family", FAMILIES)
LENGTHS = [5, 9, 5, 12, 1, 9, 2]


def classifier(family: str, *, dropout: float = 0.0) -> Any:
    torch.manual_seed(0)
    config = tiny_config(family)
    config.num_labels = 3
    model = AutoModelForSequenceClassification.from_config(config)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    return model.train()


def batch(model: Any, lengths: list[int] | None = None) -> dict[str, Tensor]:
    lengths = lengths or LENGTHS
    torch.manual_seed(1)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(5, 400, mask.shape) * mask + model.config.pad_token_id * (1 - mask)
    return {"input_ids": ids, "attention_mask": mask}


def gradients(model: Any) -> dict[str, Tensor]:
    found = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


@families
def test_logits_and_gradients_are_those_of_the_padded_batch(family: str) -> None:
    model = classifier(family)
    assert obstacle(model, CPU) is None
    inputs, target = batch(model), torch.randn(len(LENGTHS), 3)
    expected = model(**inputs).logits
    functional.mse_loss(expected, target).backward()
    wanted = gradients(model)

    free = packed(model)
    logits = free(**inputs).logits
    functional.mse_loss(logits, target).backward()
    found = gradients(model)
    assert (logits - expected).abs().max() < 1e-5
    assert found.keys() == wanted.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6, msg=name)

    model.eval()
    with torch.inference_mode():
        assert (free(**inputs).logits - expected).abs().max() < 1e-5
        assert (free.release()(**inputs).logits - expected).abs().max() < 1e-5
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("lengths", [[1, 1, 1], [8, 8], [12], [16, 16, 16, 16], [40, 3, 30]])
def test_batches_of_any_shape_are_answered_alike(lengths: list[int]) -> None:
    model = classifier("bert")
    inputs = batch(model, lengths)
    expected = model(**inputs).logits
    free = packed(model)
    assert (free(**inputs).logits - expected).abs().max() < 1e-5
    assert free.padding_fraction is not None
    assert free.padding_fraction <= 1 / 32


@pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "camembert"])
def test_a_padding_token_within_a_text_has_the_position_that_the_family_gives_it(family: str) -> None:
    model = classifier(family)
    inputs = batch(model)
    inputs["input_ids"][3, 4] = model.config.pad_token_id
    expected = model(**inputs).logits
    assert (packed(model)(**inputs).logits - expected).abs().max() < 1e-5


@families
def test_ten_steps_lead_to_the_weights_of_padded_training(family: str) -> None:
    padded = classifier(family)
    free = packed(copy.deepcopy(padded))
    ends = []
    for each, model in ((padded, padded), (free, free.model)):
        # With AdamW's usual epsilon a gradient that is 0 but for rounding would move a weight as far as any other.
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, eps=1e-3)
        lengths = torch.Generator().manual_seed(2)
        for _ in range(10):
            inputs = batch(model, torch.randint(1, 13, (4,), generator=lengths).tolist())
            functional.cross_entropy(each(**inputs).logits, torch.tensor([0, 1, 2, 1])).backward()
            optimizer.step()
            optimizer.zero_grad()
        ends.append(model.state_dict())
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("block", [1, 500, dropped_attention.BLOCK])
def test_attention_in_blocks_drops_and_learns_as_attention_at_once(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropped_attention, "BLOCK", block)
    torch.manual_seed(0)
    texts, heads, width, size, p, scale = 3, 2, 16, 4, 0.25, 0.6
    q, k, v = (torch.randn(texts, heads, width, size, requires_grad=True) for _ in range(3))
    bias = torch.zeros(texts, 1, 1, width)
    bias[1, ..., 9:] = -torch.inf
    toward = torch.randn(texts, heads, width, size)

    torch.manual_seed(3)
    answer = dropped_attention.attention(q, k, v, bias, scale=scale, dropout=p)
    found = torch.autograd.grad((answer * toward).sum(), (q, k, v))

    torch.manual_seed(3)
    dice = np.random.SFC64(int(torch.randint(2**62, ())))
    per_block = max(1, block // width**2)
    parts = [min(per_block, texts * heads - start) for start in range(0, texts * heads, per_block)]
    fell = torch.cat([kept(dice, torch.Size((part, width, width)), p) for part in parts]).view(texts, heads, width, -1)
    weights = torch.softmax(q @ k.transpose(-2, -1) * scale + bias, dim=-1) * (fell != 0) / (1 - p)
    expected = weights @ v
    wanted = torch.autograd.grad((expected * toward).sum(), (q, k, v))
    torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_attention_in_16_bits_is_that_in_fp32_but_for_its_rounding(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    bias = torch.zeros(3, 1, 1, 24)
    q, k, v, toward = (torch.randn(3, 2, 24, 8) for _ in range(4))

    def passed(dtype: torch.dtype) -> list[Tensor]:
        torch.manual_seed(3)
        own = [each.to(dtype).requires_grad_() for each in (q, k, v)]
        answer = dropped_attention.attention(*own, bias, scale=0.35, dropout=0.2)
        return [each.detach().float() for each in (answer, *torch.autograd.grad(answer, own, toward.to(dtype)))]

    for narrow, wide in zip(passed(dtype), passed(torch.float32), strict=True):
        assert float((narrow - wide).norm() / wide.norm()) < 0.02


def test_with_gradient_checkpointing_batches_are_called_with_padding() -> None:
    model, inputs = classifier("bert", dropout=0.2), batch(classifier("bert"))
    free = packed(model)
    recompute(model)
    torch.manual_seed(3)
    logits = free(**inputs).logits
    torch.manual_seed(3)
    assert torch.equal(logits, model(**inputs).logits)
    assert free.padding_fraction == pytest.approx(1 - sum(LENGTHS) / inputs["input_ids"].numel())


@pytest.mark.parametrize("family", ["bert", "distilbert"])
def test_gradients_belong_to_the_dropout_that_fell(family: str) -> None:
    """A step against the gradient lowers the loss by what the gradient says, when the same is dropped again."""
    model = classifier(family, dropout=0.2)
    free, inputs = packed(model), batch(model)

    def loss() -> Tensor:
        torch.manual_seed(5)
        return free(**inputs).logits.square().sum()

    loss().backward()
    found = gradients(model)
    steepness = sum(gradient.square().sum() for gradient in found.values())
    width = 2e-3 / float(steepness) ** 0.5
    ends = []
    for side in (1.0, -2.0):
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in found:
                    parameter += side * width * found[name]
        ends.append(float(loss().detach()))
    assert (ends[0] - ends[1]) / (2 * width) == pytest.approx(float(steepness), rel=0.02)


def test_dropout_in_attention_has_the_mean_and_the_spread_of_the_usual_one() -> None:
    torch.manual_seed(0)
    copies, length, heads = 6000, 6, 2
    q, k, v = (torch.randn(1, heads, length, 4).repeat(copies, 1, 1, 1) for _ in range(3))
    usual = functional.scaled_dot_product_attention(q, k, v, dropout_p=0.3)  # (copies, heads, length, size)

    packing = Packing.of(torch.ones(copies, length, dtype=torch.int64))

    def flat(heads_of: Tensor) -> Tensor:
        rows = heads_of.transpose(1, 2).flatten(0, 1)  # (tokens, heads, size)
        return functional.pad(rows, (0, 0, 0, 0, 0, packing.length - packing.count))[None].transpose(1, 2)

    found = attend(flat(q), flat(k), flat(v), packing, scale=0.5, dropout=0.3)
    ours = found[0, : packing.count].view(copies, length, heads, -1).transpose(1, 2)
    plain = functional.scaled_dot_product_attention(q[:1], k[:1], v[:1])[0]
    for answers in (usual, ours):
        assert (answers.mean(0) - plain).abs().max() < 0.06
    torch.testing.assert_close(ours.std(0), usual.std(0), rtol=0.06, atol=0.01)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_what_is_dropped_of_attention_is_its_share_of_the_weights(p: float) -> None:
    x = torch.full((333, 301), 3.0)
    y, again, other = (masked(x, kept(np.random.SFC64(seed), x.shape, p)) for seed in (4, 4, 5))
    share = float((y == 0).float().mean())
    assert share == pytest.approx(p, abs=5 * (p * (1 - p) / x.numel()) ** 0.5)
    assert y[y != 0].unique().tolist() == [3.0]
    assert torch.equal(again, y)
    assert not torch.equal(other, y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dropout_of_states_drops_its_share_and_passes_gradients_to_what_stayed(dtype: torch.dtype) -> None:
    dropout = CheapDropout(0.1).train()
    x = torch.full((3, 111, 301), 2.0, dtype=dtype, requires_grad=True)
    torch.manual_seed(7)
    y = dropout(x)
    torch.manual_seed(7)
    assert torch.equal(dropout(x), y)
    assert not torch.equal(dropout(x), y)

    share = float((y == 0).float().mean())
    assert share == pytest.approx(0.1, abs=5 * (0.1 * 0.9 / x.numel()) ** 0.5)
    assert y[y != 0].unique().tolist() == pytest.approx([2 / 0.9], rel=torch.finfo(dtype).eps)
    [gradient] = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, (y / 2).detach())
    assert torch.equal(dropout.eval()(x), x)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_all_or_nothing_is_dropped_as_by_torch(p: float) -> None:
    x = torch.ones(50)
    assert torch.equal(CheapDropout(p).train()(x), nn.Dropout(p).train()(x))


@families
def test_a_model_gets_its_own_dropout_back(family: str) -> None:
    model = classifier(family, dropout=0.2)

    def kinds() -> list[tuple[str, type[nn.Module], bool, float]]:
        found = [(name, each) for name, each in model.named_modules() if isinstance(each, nn.Dropout)]
        return [(name, type(each), each.training, each.p) for name, each in found]

    before = kinds()
    free = packed(model)
    assert [(name, CheapDropout, training, p) for name, _, training, p in before] == kinds()
    free.eval()
    free.release()
    assert [(name, kind, False, p) for name, kind, _, p in before] == kinds()


def test_no_dropout_but_torchs_own_is_replaced() -> None:
    class Other(nn.Dropout):
        pass

    model = nn.Sequential(Other(0.1), nn.Dropout(0.2))
    back = cheapen(model)
    assert [type(each) for each in model] == [Other, CheapDropout]
    back()
    assert [type(each) for each in model] == [Other, nn.Dropout]


def prepared(make_spec: MakeSpec, recording: Recording, **more: Any) -> tuple[Packed | None, dict[str, str]]:
    setup = set_up(make_spec(toy_rows(12), max_steps=1, **more), Narrator(recording), lambda: None)
    [said] = recording.of(Resolved)
    assert (
        said.hyperparameters.padding
        == setup.data.hyperparameters.padding
        == ("longest" if setup.packed is None else "packed")
    )
    return setup.packed, {each.field: f"{each.value}: {each.reason}" for each in said.resolutions}


def test_a_job_says_that_it_trains_without_padding(make_spec: MakeSpec, recording: Recording) -> None:
    free, said = prepared(make_spec, recording)
    assert free is not None
    assert said["padding"].startswith("packed: ")


@pytest.mark.parametrize(
    ("request_", "wishes", "why"),
    [
        ({"family": {"type": "hierarchical", "chunk_length": 12, "max_chunks": 2}}, {}, "hierarchical"),
        ({"family": {"type": "textcnn", "vocab_size": 300, "tokenizer": "base_model"}}, {}, "textcnn"),
        ({}, {"torch_compile": True}, "compile"),
        ({}, {"gradient_checkpointing": True}, "gradient_checkpointing"),
        ({}, {"padding": "longest"}, "the job asks for it"),
    ],
)
def test_a_network_that_needs_padding_falls_back_and_says_so(
    make_spec: MakeSpec, recording: Recording, request_: dict[str, Any], wishes: dict[str, Any], why: str
) -> None:
    free, said = prepared(make_spec, recording, request=request_, **wishes)
    assert free is None
    assert said["padding"].startswith("longest: ")
    assert why in said["padding"]


@pytest.mark.parametrize("family", ["mpnet", "deberta-v2", "electra", "albert", "modernbert"])
def test_other_families_are_left_alone(family: str) -> None:
    assert "with padding" in (obstacle(classifier(family), CPU) or "")


def test_decoders_and_gpus_are_left_alone() -> None:
    model = classifier("bert")
    assert obstacle(model, torch.device("cuda", 0)) is not None
    model.config.is_decoder = True
    assert "decoder" in (obstacle(model, CPU) or "")


@pytest.mark.parametrize("rows", [toy_rows, toy_sets])
def test_a_whole_job_computes_hardly_any_padding(make_spec: MakeSpec, recording: Recording, rows: Any) -> None:
    spec = make_spec([*rows(24), *rows(9, split="validation")], max_steps=2, eval_batch_size=4)
    run(spec, recording, lambda: False)
    [used] = recording.of(Used)
    assert used.usage.padding_fraction is not None
    assert used.usage.padding_fraction <= 1 / 32
    assert "tunesmith_packed" not in (spec.bundle_dir / "weights" / "config.json").read_text()


def test_final_scores_are_those_of_the_padded_model(make_spec: MakeSpec, recording: Recording) -> None:
    spec = make_spec([*toy_rows(12), *toy_rows(50, split="validation")], max_steps=1)
    setup = set_up(spec, Narrator(recording), lambda: None)
    assert setup.packed is not None
    assert setup.data.validation is not None
    judge = Judge.of(spec, setup.data.hyperparameters, CPU, Portion(16, lambda size: None), lambda: None)
    without = judge.answer(setup.asked, setup.data.validation, "validation")
    padded = judge.answer(setup.packed.release(), setup.data.validation, "validation")
    np.testing.assert_allclose(without.logits, padded.logits, atol=1e-5)
    assert without.evaluation.loss == pytest.approx(padded.evaluation.loss, abs=1e-5)
    assert without.evaluation.f1_macro == padded.evaluation.f1_macro
