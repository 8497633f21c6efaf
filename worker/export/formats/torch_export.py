"""torch.export: the model's program with its weights in one .pt2 file, what torch recommends in TorchScript's place."""

import warnings

import torch

from worker.export.format import Format
from worker.export.formats.onnx import example_inputs, free_shapes
from worker.export.source import Answer, Source, torch_answer

FILE = "model.pt2"


def write(source: Source) -> None:
    """Capture the program for any number of texts of any length that the model can read."""
    shapes = free_shapes(source.longest, in_chunks=source.in_chunks)
    example = example_inputs(source.pad_token_id, source.longest, in_chunks=source.in_chunks)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(source.called(), example, dynamic_shapes=shapes, strict=False)
        torch.export.save(program, source.folder / FILE)


def load(source: Source) -> Answer:
    """Load the program."""
    return torch_answer(torch.export.load(source.folder / FILE).module())


FORMAT = Format("torch-export", (FILE,), write, load)
