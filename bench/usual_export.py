"""The export that most people make of a checkpoint: what the floor and the rivals are given.

    python -m bench.usual_export FOLDER

FOLDER holds a checkpoint as transformers reads it; model.onnx and model.int8.onnx are written into it.
"""

import argparse
import logging
import warnings
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import AutoModelForSequenceClassification


class Called(torch.nn.Module):
    """Two inputs in order, logits out."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Map ids and mask, each (texts, seq), to logits, (texts, labels)."""
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def write(folder: Path) -> None:
    """Export, then quantize the weights, each output channel with a scale of its own."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).eval()
    ids, mask = torch.ones(4, 12, dtype=torch.int64), torch.ones(4, 12, dtype=torch.int64)
    mask[1, 6:] = 0
    axes = {0: "texts", 1: "tokens"}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Called(model).eval(),
            (ids, mask),
            str(folder / "model.onnx"),
            dynamo=False,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "texts"}},
            opset_version=17,
        )
    logging.disable(logging.WARNING)  # it recommends a preprocessing that changes nothing here
    quantized = folder / "model.int8.onnx"
    quantize_dynamic(folder / "model.onnx", quantized, weight_type=QuantType.QInt8, per_channel=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
