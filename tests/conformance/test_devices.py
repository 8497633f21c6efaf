"""Two processes train a real network as one does: the same losses, scores and weights, whatever the family."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.worker.toy_task import LABELS, Recording, spec_maker, toy_moods, toy_rows, toy_sets
from worker.events import (
    AttemptSpec,
    Checkpointed,
    Evaluated,
    Interrupted,
    PhaseStarted,
    Resolved,
    Resumed,
    Stepped,
)
from worker.pipeline import run

ROWS = [*toy_rows(45), *toy_rows(20, split="validation")]
WISHES: dict[str, Any] = {
    "num_train_epochs": 2,
    "batch_size": 8,
    "gradient_accumulation_steps": 3,  # two batches are dealt, the third is split; the second window is short
    "dropout": 0.0,
    "class_weights": {"calm": 0.5, "glad": 2.0, "sad": 1.0},
    "max_grad_norm": 0.3,
    "logging_steps": 1,
    "precision": "fp32",
}
WAYS: dict[str, dict[str, Any]] = {
    "padding": {"padding": "longest", "gradient_checkpointing": True, "optim": "adafactor"},
    "compiled": {"torch_compile": True},
    "thawed": {"unfreeze_schedule": {"0": 1, "1": "all"}, "layerwise_lr_decay": 0.8},
    "probe": {"head_init": "probe"},  # with this network it begins with a loss of hundreds
    "curriculum": {"curriculum": {"num_epochs": 2}, "augmentation": {"techniques": ["random_swap"]}},
}


@pytest.fixture(scope="module")
def dry_base(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A base model without dropout, which falls elsewhere with every number of processes."""
    folder = tmp_path_factory.mktemp("dry") / "base"
    shutil.copytree(tiny_base, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(autouse=True)
def _one_thread(restored_torch: None) -> Iterator[None]:
    torch.set_num_threads(1)
    yield


def children() -> list[int]:
    """List the processes that this one has started and that still run."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def listening(pid: int) -> set[str]:
    """Give the addresses at which a process accepts connections, as the kernel writes them."""
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    lines = [line.split() for table in tables if table.is_file() for line in table.read_text().splitlines()[1:]]
    addresses = {f"socket:[{line[9]}]": line[1].partition(":")[0] for line in lines if line[3] == "0A"}
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(addresses.get(str(descriptor.readlink()), ""))
        except OSError:
            continue  # closed meanwhile
    return found - {""}


class Watched(Recording):
    """Events, and what was seen of the other processes while there were steps."""

    def __init__(self) -> None:
        super().__init__([])
        self.helpers: set[int] = set()
        self.addresses: set[str] = set()

    def __call__(self, event: Any) -> None:
        super().__call__(event)
        if isinstance(event, Stepped):
            self.helpers.update(children())
            self.addresses.update(*(listening(pid) for pid in {*children(), os.getpid()}))


def trained(spec: AttemptSpec, devices: int, recording: Recording) -> dict[str, torch.Tensor]:
    """Train on so many devices and give the last weights."""
    wishes = spec.request.hyperparameters.model_copy(update={"devices": devices})
    request = spec.request.model_copy(update={"hyperparameters": wishes})

    def is_over() -> bool:
        return any(event.phase == "evaluating" for event in recording.of(PhaseStarted))

    with pytest.raises(Interrupted):
        spec = spec.model_copy(update={"request": request, "devices": devices, "threads": devices})
        run(spec, recording, is_over, lambda: True)
    return load_file(recording.of(Checkpointed)[-1].folder / "model.safetensors")


def assert_alike(one: Recording, other: Recording) -> None:
    """Compare what was told of two runs."""
    steps = zip(one.of(Stepped), other.of(Stepped), strict=True)
    for expected, found in steps:
        assert (found.step, found.epoch, found.learning_rate) == (expected.step, expected.epoch, expected.learning_rate)
        assert found.values == expected.values
        assert found.loss == pytest.approx(expected.loss, abs=1e-5, rel=1e-5)
        assert found.grad_norm == pytest.approx(expected.grad_norm, abs=1e-5, rel=1e-5)
    for expected, found in zip(one.of(Evaluated), other.of(Evaluated), strict=True):
        assert found.evaluation.loss == pytest.approx(expected.evaluation.loss, abs=1e-5, rel=1e-5)
        assert found.evaluation.confusion_matrix == expected.evaluation.confusion_matrix


def test_two_processes_train_an_encoder_as_one_does(
    tmp_path: Path, dry_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.devices.usable_cpus", lambda: 2)
    make = spec_maker(tmp_path, dry_base)
    one, two = Recording(), Watched()
    before = set(children())
    expected = trained(make(ROWS, name="one", **WISHES), 1, one)
    weights = trained(make(ROWS, name="two", **WISHES), 2, two)
    assert_alike(one, two)
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-5, rtol=0)
    assert [type(event) for event in two.events] == [type(event) for event in one.events]  # nobody else speaks
    [resolved] = two.of(Resolved)
    assert resolved.hyperparameters.devices == 2
    assert resolved.hyperparameters.padding == "packed"
    assert resolved.device.endswith(", 2 processes")
    assert "rank1.cpu" in load_file(two.of(Checkpointed)[-1].folder / "generators.safetensors")
    assert len(two.helpers - before) == 1
    assert set(children()) <= before  # they are gone when training is over
    assert two.addresses <= {"0100007F"}  # 127.0.0.1


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_train_is_shared(tmp_path: Path, dry_base: Path, way: str) -> None:
    make = spec_maker(tmp_path, dry_base)
    one, two = Recording(), Recording()
    wishes = WISHES | WAYS[way]
    expected = trained(make(ROWS, name="one", **wishes), 1, one)
    weights = trained(make(ROWS, name="two", **wishes), 2, two)
    assert_alike(one, two)
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-5, rtol=1e-5)


FAMILIES: dict[str, dict[str, Any]] = {
    "textcnn": {"family": {"type": "textcnn", "tokenizer": "own", "dropout": 0.0}},
    "hierarchical": {"family": {"type": "hierarchical", "chunk_length": 16, "overlap": 2, "max_chunks": 3}},
    "multitask": {"family": {"type": "multitask", "name": "tone", "tasks": {"mood": {"dataset_id": "ds_mood"}}}},
}


@pytest.mark.slow
@pytest.mark.parametrize("family", [*FAMILIES, "multi_label"])
def test_every_family_is_shared(tmp_path: Path, dry_base: Path, family: str) -> None:
    make = spec_maker(tmp_path, dry_base)
    one, two = Recording(), Recording()
    # With AdamW's usual epsilon a gradient that is 0 but for rounding would move a weight as far as any other.
    options: dict[str, Any] = {"request": FAMILIES.get(family, {}), **WISHES, "adam_epsilon": 1e-6}
    rows: Any = ROWS
    if family == "multitask":
        options["tasks"] = {"mood": [*toy_moods(20), *toy_moods(10, split="validation")]}
    if family == "multi_label":
        rows = [*toy_sets(45), *toy_sets(20, split="validation")]
    expected = trained(make(rows, name="one", labels=LABELS, **options), 1, one)
    weights = trained(make(rows, name="two", labels=LABELS, **options), 2, two)
    assert_alike(one, two)
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 1])
def test_a_drained_job_goes_on_with_as_many_devices_or_with_others(
    tmp_path: Path, tiny_base: Path, devices: int
) -> None:
    make = spec_maker(tmp_path, tiny_base)  # with dropout: its dice are saved
    whole, first, second = Recording(), Recording(), Recording()
    expected = trained(make(ROWS, name="whole", **WISHES), 2, whole)
    wishes = make(ROWS, name="wishes", devices=2, **WISHES).request
    spec = make(ROWS, name="first", **WISHES).model_copy(update={"request": wishes, "devices": 2, "threads": 2})
    with pytest.raises(Interrupted):
        run(spec, first, lambda: len(first.of(Stepped)) == 2, lambda: True)
    saved = first.of(Checkpointed)[0]
    resumed = make(ROWS, name="second", **WISHES).model_copy(update={"resume_from": saved.folder})
    weights = trained(resumed, devices, second)
    assert second.of(Resumed) == [Resumed(step=2)]
    assert [event.step for event in second.of(Stepped)] == [event.step for event in whole.of(Stepped)][2:]
    alike = all(torch.equal(weights[name], tensor) for name, tensor in expected.items())
    assert alike == (devices == 2)
