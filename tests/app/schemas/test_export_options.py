"""Which formats a job makes of what its client wrote."""

from typing import Any

import pytest

from app.schemas.jobs import ExportOptions


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, ["onnx"]),
        ({"formats": ["torch-export"]}, ["onnx", "torch-export"]),
        ({"formats": ["onnx-int8", "onnx", "onnx-int8"]}, ["onnx", "onnx-int8"]),
        ({"serve": "onnx-fp16"}, ["onnx", "onnx-fp16"]),
        ({"serve": "onnx-int8", "formats": ["onnx-int8", "safetensors"]}, ["onnx", "onnx-int8", "safetensors"]),
        ({"serve": "auto", "formats": ["onnx-int8"]}, ["onnx", "onnx-int8"]),
    ],
)
def test_onnx_comes_first_and_nothing_twice(options: dict[str, Any], wanted: list[str]) -> None:
    assert ExportOptions(**options).wanted == wanted
