"""What is exported was loaded again and compared; what fails is left out and says why."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.errors import JobFailure
from app.schemas.jobs import JobWarning
from app.schemas.models import ExportLatency, ExportVerdict
from tests.worker.export.small import gate_of, nothing, opinionated_model, rows_of, source_of
from worker.events import Interrupted
from worker.export.exporter import Exporter, choose_served
from worker.export.gate import Gate
from worker.export.registry import FORMATS
from worker.export.source import Source

ALL = list(FORMATS)


@pytest.fixture
def source(tiny_base: Path, tmp_path: Path, brief_measurements: None) -> Source:
    return source_of(opinionated_model(tiny_base), tiny_base, tmp_path / "bundle")


class Bench:
    """An exporter that keeps its warnings."""

    def __init__(self, source: Source, base: Path, folder: Path, **bounds: float) -> None:
        self.rows = rows_of(base, folder)
        self.warnings: list[JobWarning] = []
        self.gate: Gate | None = gate_of(self.rows, **bounds)
        self.source = source

    def export(self, *wanted: Any, check: Any = nothing) -> dict[str, ExportVerdict]:
        exporter = Exporter(self.source, self.rows, self.gate, check, self.warnings.append)
        return {verdict.format: verdict for verdict in exporter.export(wanted)}


def files(source: Source) -> set[str]:
    return {path.relative_to(source.folder).as_posix() for path in source.folder.rglob("*") if path.is_file()}


ALWAYS = {"model.onnx", "tokenizer.json", "weights/config.json", "weights/model.safetensors"}


def test_every_format_is_made_compared_and_measured(source: Source, tiny_base: Path, tmp_path: Path) -> None:
    bench = Bench(source, tiny_base, tmp_path, max_metric_drop=1, min_label_agreement=0)
    verdicts = bench.export(*ALL)
    assert list(verdicts) == ALL
    for name, verdict in verdicts.items():
        assert verdict.passed, verdict
        assert (verdict.reason, verdict.file) == (None, FORMATS[name].files[0])
        assert verdict.bytes == sum((source.folder / file).stat().st_size for file in FORMATS[name].files)
        assert verdict.latency.batch_1_ms > 0
        assert verdict.latency.batch_32_ms > 0
        assert verdict.max_abs_difference < (2.0 if FORMATS[name].reduced else 1e-4)
    assert verdicts["onnx-int8"].rows == 100
    # Half of so small a graph is its structure.
    assert verdicts["onnx-int8"].bytes < 0.9 * verdicts["onnx"].bytes
    assert verdicts["onnx-fp16"].bytes < 0.9 * verdicts["onnx"].bytes
    assert verdicts["onnx-fp16"].label_agreement > 0.98
    assert verdicts["onnx-int8"].metric == "f1_macro"
    assert bench.warnings == []
    assert files(source) == ALWAYS | {file for name in ALL for file in FORMATS[name].files}


def test_a_reduced_format_that_loses_too_much_is_refused_with_its_figures(
    source: Source, tiny_base: Path, tmp_path: Path
) -> None:
    # Nothing may differ at all: a gain of more than 1 is what no format has.
    bench = Bench(source, tiny_base, tmp_path, max_metric_drop=-1.0)
    verdict = bench.export("onnx", "onnx-int8")["onnx-int8"]
    assert not verdict.passed
    assert "max_metric_drop" in verdict.reason
    assert verdict.label_agreement > 0.5
    assert verdict.latency is None
    [warning] = bench.warnings
    assert warning.code == "export-refused"
    assert verdict.reason in warning.detail
    assert files(source) == ALWAYS


def test_labels_that_change_are_a_reason_too(source: Source, tiny_base: Path, tmp_path: Path) -> None:
    bench = Bench(source, tiny_base, tmp_path, max_metric_drop=1, min_label_agreement=1.01)
    assert "min_label_agreement" in bench.export("onnx", "onnx-fp16")["onnx-fp16"].reason


def test_without_validation_rows_reduced_precision_is_refused(source: Source, tiny_base: Path, tmp_path: Path) -> None:
    bench = Bench(source, tiny_base, tmp_path)
    bench.gate = None
    assert "no validation rows" in bench.export("onnx", "onnx-int8")["onnx-int8"].reason
    assert files(source) == ALWAYS


class Unexportable(torch.nn.Module):
    """Answers as the model does until it is traced or captured by anything but the ONNX exporter."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        if torch.compiler.is_exporting() and not torch.onnx.is_in_onnx_export():
            raise TypeError("not me")
        return self.model(input_ids=input_ids, attention_mask=attention_mask)


def test_a_format_that_cannot_be_made_does_not_cost_the_job(source: Source, tiny_base: Path, tmp_path: Path) -> None:
    awkward = replace(source, model=Unexportable(source.model).eval())
    bench = Bench(awkward, tiny_base, tmp_path)
    verdict = bench.export("onnx", "torch-export")["torch-export"]
    assert (verdict.passed, verdict.rows, verdict.label_agreement) == (False, 0, None)
    assert "could not be made" in verdict.reason
    assert "not me" not in verdict.reason
    assert files(source) == ALWAYS


def test_weights_that_load_to_another_model_are_refused_and_stay(
    source: Source, tiny_base: Path, tmp_path: Path
) -> None:
    """The weights are every bundle's; a tokenizer beside them is not."""
    other = replace(source, reload=lambda _: opinionated_model(tiny_base, seed=9))
    bench = Bench(other, tiny_base, tmp_path)
    verdict = bench.export("onnx", "safetensors")["safetensors"]
    assert "logits differ" in verdict.reason
    assert files(source) == ALWAYS


def test_a_served_model_that_differs_fails_the_job(source: Source, tiny_base: Path, tmp_path: Path) -> None:
    class Drifting(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = source.model  # one of its own, or it could not be traced

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            answer = self.model(input_ids=input_ids, attention_mask=attention_mask)
            if not torch.onnx.is_in_onnx_export():
                answer.logits = answer.logits + 1
            return answer

    bench = Bench(replace(source, model=Drifting().eval()), tiny_base, tmp_path)
    with pytest.raises(JobFailure, match="answers differently") as caught:
        bench.export("onnx")
    assert caught.value.code == "export-verification-failed"


def test_a_stop_is_no_failure_of_the_format(source: Source, tiny_base: Path, tmp_path: Path) -> None:
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if (source.folder / "model.int8.onnx").exists():
            raise Interrupted

    with pytest.raises(Interrupted):
        Bench(source, tiny_base, tmp_path).export("onnx", "onnx-int8", check=check)
    assert asked > 2


def verdict(name: str, milliseconds: float, *, passed: bool = True) -> ExportVerdict:
    return ExportVerdict(
        format=name,
        file=name,
        bytes=1,
        rows=1,
        max_abs_difference=0.0,
        label_agreement=1.0,
        passed=passed,
        latency=ExportLatency(batch_1_ms=milliseconds, batch_32_ms=None),
    )


@pytest.mark.parametrize(
    ("wish", "served"),
    [("onnx", "onnx"), ("onnx-int8", "onnx-int8"), ("onnx-fp16", "onnx"), ("auto", "onnx-int8")],
)
def test_the_served_format_is_the_wanted_one_if_it_passed(wish: Any, served: str) -> None:
    found = [verdict("onnx", 3), verdict("onnx-int8", 1), verdict("onnx-fp16", 0.1, passed=False), verdict("pt", 0.01)]
    assert choose_served(wish, found) == served


def test_a_dropped_label_counts_as_it_should(tiny_base: Path, tmp_path: Path) -> None:
    """The gate's figures, worked out by hand: every third row is of each label."""
    rows = rows_of(tiny_base, tmp_path, 99)

    def answers(give: Any) -> Any:
        return lambda texts: np.eye(3, dtype=np.float32)[give(texts.batch.labels.numpy())]

    found = gate_of(rows).judge(lambda: answers(lambda truth: truth), answers(lambda truth: np.minimum(truth, 1)))
    # Labels 0: F1 1. Label 1: precision 1/2, recall 1, F1 2/3. Label 2: 0.
    assert found.metric_value == pytest.approx((1 + 2 / 3) / 3)
    assert found.metric_drop == pytest.approx(1 - (1 + 2 / 3) / 3)
    assert found.label_agreement == pytest.approx(2 / 3)
    assert "max_metric_drop" in found.reason
