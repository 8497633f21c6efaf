"""What the machine is asked, and what follows from its answers."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from app.processors import usable_cpus
from app.schemas.hyperparameters import Precision
from worker import device
from worker.probe import Probe

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("restored_torch")


def test_cpu_is_named() -> None:
    assert device.device_name(CPU).startswith("CPU (")


def test_threads_are_as_wished_or_measured() -> None:
    assert device.use_threads(1) == torch.get_num_threads() == 1
    measured = device.use_threads(0)
    assert 1 <= measured == torch.get_num_threads() <= usable_cpus()


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((6, 1), "fp32"), ((7, 0), "fp16"), ((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16"), ((12, 0), "bf16")],
)
def test_precision_by_generation_of_gpu(capability: tuple[int, int], precision: Precision) -> None:
    choice = device.cuda_precision(capability)
    assert choice.precision == precision
    assert f"{capability[0]}.{capability[1]}" in choice.reason


@pytest.mark.parametrize(("gain", "precision"), [(2.4, "bf16"), (1.2, "bf16"), (1.19, "fp32"), (0.1, "fp32")])
def test_bf16_must_pay_on_a_cpu(gain: float, precision: Precision) -> None:
    choice = device.cpu_precision(supported=True, gain=lambda: gain)
    assert choice.precision == precision
    assert f"{gain:.1f}" in choice.reason


def test_cpu_without_bf16_is_not_measured() -> None:
    def never() -> float:
        raise AssertionError

    assert device.cpu_precision(supported=False, gain=never).precision == "fp32"


@pytest.mark.parametrize("wish", ["fp32", "bf16", "fp16"])
def test_wishes_are_honoured_and_slow_ones_marked(wish: Precision) -> None:
    choice = device.choose_precision(wish, CPU, Probe(None, machine="test"))
    assert choice.precision == wish
    assert choice.slow == (wish == "fp16" or (wish == "bf16" and choice.reason == "asked for"))


def test_gain_is_a_ratio_of_times_and_leaves_the_threads_as_they_were() -> None:
    torch.set_num_threads(2)
    assert 0.001 < device.bf16_gain() < 1000
    assert torch.get_num_threads() == 2


def test_a_neighbour_who_comes_or_goes_slows_both_sides_of_a_comparison() -> None:
    """A machine that is three times slower for its first half second, and then free."""
    now = 0.0

    def works(seconds: float) -> Callable[[], None]:
        def work() -> None:
            nonlocal now
            now += seconds * (3.0 if now < 0.5 else 1.0)

        return work

    assert device.best_in_turns([works(0.04), works(0.01)], 0.3, clock=lambda: now) == pytest.approx([0.04, 0.01])


def test_seed_reaches_every_generator() -> None:
    draws = []
    for seed in (5, 5, 6):
        device.seed_everything(seed)
        draws.append((random.random(), float(np.random.random()), float(torch.rand(()))))
    assert draws[0] == draws[1] != draws[2]
    assert all(first != other for first, other in zip(draws[0], draws[2], strict=True))


def test_determinism_is_a_switch() -> None:
    device.use_deterministic(True)
    assert torch.are_deterministic_algorithms_enabled()
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (True, False)
    device.use_deterministic(False)
    assert not torch.are_deterministic_algorithms_enabled()
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (False, True)


def test_peak_memory_grows_and_never_shrinks() -> None:
    before = device.peak_memory_mb(CPU)
    held = np.ones(int(before * 2**20 / 8) + 4_000_000)
    after = device.peak_memory_mb(CPU)
    del held
    assert after > before + 20
    assert device.peak_memory_mb(CPU) >= after


def test_probe_measures_once_per_machine(tmp_path: Path) -> None:
    calls: list[int] = []

    def measure() -> float:
        calls.append(1)
        return 2.5

    folder = tmp_path / "new" / "cache"
    assert Probe(folder, machine="a").remembered("gain", measure) == 2.5
    assert Probe(folder, machine="a").remembered("gain", measure) == 2.5
    assert len(calls) == 1
    Probe(folder, machine="b").remembered("gain", measure)
    Probe(folder, machine="a").remembered("other", measure)
    assert len(calls) == 3
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"gain": "fast"}', b"\xff"])
def test_damaged_probe_file_costs_a_measurement(tmp_path: Path, content: bytes) -> None:
    Probe(tmp_path, machine="a").remembered("gain", lambda: 1.0)
    [file] = tmp_path.iterdir()
    file.write_bytes(content)
    assert Probe(tmp_path, machine="a").remembered("gain", lambda: 3.0) == 3.0
    assert json.loads(file.read_text()) == {"gain": 3.0}


def test_probe_without_a_place_to_write_still_measures(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert Probe(tmp_path / "file" / "cache", machine="a").remembered("gain", lambda: 4.0) == 4.0
