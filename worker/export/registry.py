"""The formats there are, by name."""

from app.schemas.jobs import ExportFormat
from worker.export.format import Format
from worker.export.formats import onnx, onnx_fp16, onnx_int8, safetensors, torch_export, torchscript

FORMATS: dict[ExportFormat, Format] = {
    module.FORMAT.name: module.FORMAT for module in (onnx, onnx_int8, onnx_fp16, torchscript, torch_export, safetensors)
}
