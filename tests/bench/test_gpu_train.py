"""The benchmark of training runs, and says when there is nothing to measure on."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    file = Path(__file__).parents[2] / "bench" / "gpu_train.py"
    spec = importlib.util.spec_from_file_location("gpu_train", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("further", [[], ["--optim", "adafactor", "--gradient-checkpointing"]])
def test_each_precision_of_a_cpu_is_one_line(
    bench: ModuleType, capsys: pytest.CaptureFixture[str], further: list[str]
) -> None:
    small = ["--model", "tiny", "--steps", "2", "--batch-size", "4", "--max-length", "16"]
    assert bench.main(["--device", "cpu", *small, *further]) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    assert "8 texts" in title
    assert [line.split()[0] for line in lines] == ["fp32", "bf16"]
    for line in lines:
        found = re.fullmatch(r"\w+ +([\d,.]+) samples/s +([\d,]+) MB peak", line)
        assert found is not None, line
        assert all(float(number.replace(",", "")) > 0 for number in found.groups())


def test_without_a_gpu_it_says_so_and_fails(
    bench: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench.main([]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no GPU" in captured.err
