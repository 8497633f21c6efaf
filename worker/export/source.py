"""What is exported, and what an exported file must be able to do."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.artifacts.bundle import SERVED_FILES, TOKENIZER, Bundle, FileEntry, Manifest, sha256_of
from app.schemas.jobs import ServedFormat
from app.serving.predictor import Predictor
from worker.batch import Batch

Logits = NDArray[np.float32]


class Rows(Protocol):
    """Where the texts come from that formats are compared on."""

    def __len__(self) -> int: ...

    def spread(self, count: int) -> NDArray[np.int64]:
        """Give ``count`` rows, from the shortest to the longest."""

    def ids(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Give the ids of some rows, one array a text."""

    def load(self, rows: NDArray[np.int64]) -> Batch:
        """Pad some rows."""

    def packed(self, rows: NDArray[np.int64], most: int) -> Iterator[NDArray[np.int64]]:
        """Deal some rows, in their order, into batches of ``most`` texts, or chunks of texts."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Some texts, as ids and as the padded batch that torch is called with."""

    ids: list[NDArray[np.int64]]
    batch: Batch

    @classmethod
    def of(cls, rows: Rows, chosen: NDArray[np.int64]) -> "Texts":
        """Take the chosen rows."""
        return cls(rows.ids(chosen), rows.load(chosen))

    def __len__(self) -> int:
        return len(self.ids)


Answer = Callable[[Texts], Logits]
"""Maps texts to logits (texts, labels)."""
Decide = Callable[[Logits], NDArray[np.generic]]
"""Maps logits (texts, labels) to what is answered: the label of each text (texts,), or which ones (texts, labels)."""


Record = Callable[[nn.Module], nn.Module | None]
"""Gives what is to be recorded in a model's place: the same inputs and logits for less work; or None."""


def as_it_is(_model: nn.Module) -> None:
    """Let the model itself be recorded."""


def most_probable(logits: Logits) -> NDArray[np.int64]:
    """Give each text, of logits (texts, labels), the index of its most probable label, (texts,)."""
    best: NDArray[np.int64] = logits.argmax(axis=1)
    return best


def by_head(heads: Collection[slice]) -> Decide:
    """Make what answers with the most probable label of every head, (texts, heads); a head is some of the logits."""
    return lambda logits: np.stack([logits[:, head].argmax(axis=1) for head in heads], axis=1)


def agreement(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    """Give the share of the texts that are answered alike; of answers with several labels each, with the same ones."""
    same = np.asarray(one == other)
    return float((same if same.ndim == 1 else same.all(axis=1)).mean())


@dataclass(frozen=True, slots=True)
class Source:
    """A trained fp32 model on the CPU, in evaluation mode, and the bundle that its formats are written into."""

    model: nn.Module
    folder: Path
    """Of the bundle; the tokenizer and the weights are in it already."""
    draft: Manifest
    """The manifest as far as it is known."""
    pad_token_id: int
    longest: int
    """Tokens that the model can read."""
    reload: Callable[[Path], nn.Module]
    """How to load a checkpoint of this kind of model from a folder."""
    recorded: Record = as_it_is
    """What becomes of the model in the graph that is served."""

    @property
    def in_chunks(self) -> bool:
        """Whether the model reads a text in chunks."""
        return self.draft.tokenizer.max_chunks is not None

    def called(self) -> nn.Module:
        """Give the model as its users call it."""
        return as_called(self.model, in_chunks=self.in_chunks)

    def predictor(self, served: ServedFormat) -> Predictor:
        """Load one of the written formats as the server will. Raises JobFailure ``unloadable-model``."""
        files = {name: _entry(self.folder / name) for name in (SERVED_FILES[served], TOKENIZER)}
        manifest = self.draft.model_copy(update={"files": files, "serve": served})
        return Predictor.load(Bundle(self.folder, manifest))


class TwoInputs(nn.Module):
    """A classifier as its users want it: two inputs, one output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map ids and mask, each (batch, seq), to logits (batch, labels)."""
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


class ThreeInputs(nn.Module):
    """A classifier of documents in chunks: three inputs, one output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, chunk_index: Tensor) -> Tensor:
        """Map ids and mask, each (chunks, seq), and the chunks of each document (batch, most) to (batch, labels)."""
        answer = self.model(input_ids=input_ids, attention_mask=attention_mask, chunk_index=chunk_index)
        logits: Tensor = answer.logits
        return logits


def as_called(model: nn.Module, *, in_chunks: bool) -> nn.Module:
    """Give a model as its users call it, in evaluation mode."""
    return (ThreeInputs(model) if in_chunks else TwoInputs(model)).eval()


def served_answer(source: Source, served: ServedFormat) -> Answer:
    """Let the server's own predictor answer."""
    predictor = source.predictor(served)
    return lambda texts: predictor.logits(texts.ids)


def torch_answer(forward: Callable[..., Tensor]) -> Answer:
    """Let something answer that torch can call with the inputs of a batch, in their order."""

    @torch.inference_mode()
    def answer(texts: Texts) -> Logits:
        logits: Logits = forward(*texts.batch.inputs.values()).numpy()
        return logits

    return answer


def _entry(path: Path) -> FileEntry:
    return FileEntry(bytes=path.stat().st_size, sha256=sha256_of(path))
