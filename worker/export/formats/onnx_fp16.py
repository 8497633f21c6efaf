"""ONNX in half precision: half the size; faster on a GPU, not on a CPU, which mostly computes it in fp32."""

import warnings

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

from app.artifacts.bundle import ONNX, SERVED_FILES
from worker.export.format import Format
from worker.export.source import Source, served_answer

FILE = SERVED_FILES["onnx-fp16"]


def write(source: Source) -> None:
    """Convert weights and operators of the fp32 graph; inputs and logits keep their types."""
    with warnings.catch_warnings():
        # It warns of every weight that is rounded to the smallest half; the comparison judges what that costs.
        warnings.simplefilter("ignore")
        half = convert_float_to_float16(onnx.load(source.folder / ONNX), keep_io_types=True)
    onnx.save(half, source.folder / FILE)


FORMAT = Format("onnx-fp16", (FILE,), write, lambda source: served_answer(source, "onnx-fp16"), reduced=True)
