"""TorchScript, for programs that load nothing newer: torch itself calls it deprecated in favour of torch.export."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from worker.export.format import Format
from worker.export.formats.onnx import example_inputs
from worker.export.source import Answer, Source, torch_answer

FILE = "model.torchscript.pt"


def write(source: Source) -> None:
    """Record what the model does with an example, and freeze its weights in.

    Scripting, the other way into TorchScript, cannot read the classes of transformers.
    """
    with _without_deprecations(), torch.no_grad():
        example = example_inputs(source.pad_token_id, source.longest, in_chunks=source.in_chunks)
        traced = torch.jit.trace(source.called(), example, strict=False, check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(torch.jit.freeze(traced), source.folder / FILE)


def load(source: Source) -> Answer:
    """Load the recorded program."""
    with _without_deprecations():
        return torch_answer(torch.jit.load(source.folder / FILE, map_location="cpu"))  # type: ignore[no-untyped-call]


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """Silence what the job is told once, as a warning of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


FORMAT = Format("torchscript", (FILE,), write, load)
