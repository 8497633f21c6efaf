"""The teacher of a distillation: loaded beside the student, asked once about every training row, and let go."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from app.artifacts.bundle import MANIFEST, Manifest
from app.errors import FieldError, JobFailure
from app.schemas.distillation import DistillationOptions
from app.schemas.text import TextOptions
from app.text.tokenizer import TextEncoder
from worker.batch import Batch
from worker.data.batches import Batches
from worker.data.curriculum import CurriculumBatches
from worker.data.encode import encode
from worker.data.rows import Rows
from worker.data.token_cache import TokenCache
from worker.memory import Portion
from worker.models.reading import settings_of
from worker.models.registry import load_trained
from worker.models.tokenizer import tokenizer_file
from worker.products import quick_products

TEACHER = "/hyperparameters/distillation/teacher"


@dataclass(frozen=True, slots=True)
class Classroom:
    """Where and how a teacher is asked."""

    device: torch.device
    portion: Portion
    text: TextOptions
    scratch: Path
    check: Callable[[], None]
    """To be called now and then; may raise to stop."""
    cache_dir: Path | None = None
    """Where ids are kept for the next attempt."""


class Taught:
    """Batches that carry the teacher's answers along; they are the same whenever a row comes, so they are kept."""

    def __init__(self, batches: Batches | CurriculumBatches, answers: Tensor) -> None:
        """Take ``answers`` on the CPU: (rows, labels)."""
        self._batches = batches
        self._answers = answers

    @property
    def answers(self) -> Tensor:
        """Give what the teacher answered, (rows, labels)."""
        return self._answers

    def plan(self, batch_size: int, *, seed: int, epoch: int) -> Sequence[NDArray[np.int64]]:
        """Give the rows of every training batch of one epoch."""
        return self._batches.plan(batch_size, seed=seed, epoch=epoch)

    def load(self, rows: NDArray[np.int64]) -> Batch:
        """Make one batch."""
        return replace(self._batches.load(rows), teacher=self._answers[torch.from_numpy(rows)])


def ask(folder: Path, options: DistillationOptions, rows: Rows, labels: Sequence[str], room: Classroom) -> Tensor:
    """Give the teacher's logits for every row, (rows, labels), in the order of ``labels`` and on the CPU.

    A version of our own reads texts as it does when it is served, another teacher with its own tokenizer up to its own
    limit. Raises JobFailure ``teacher-knows-other-labels``.
    """
    named = _names(folder, options, labels)
    model = load_trained(folder, named)
    if not model.head_kept:
        raise _other_labels("it has no trained head for them")
    batches = _read(folder, model.model, rows, room)
    nn.Module.to(model.model, room.device)
    model.model.train(mode=False)
    answers = torch.zeros(len(batches), len(labels))
    room.portion.of(lambda size: _answer(model.model, batches, answers, room, size))
    return answers


@torch.inference_mode()
def _answer(model: nn.Module, batches: Batches, answers: Tensor, room: Classroom, size: int) -> None:
    for chosen in batches.longest_first(size):
        room.check()
        batch = batches.load(chosen).to(room.device)
        with quick_products(room.device):
            answers[torch.from_numpy(chosen)] = model(**batch.inputs).logits.float().cpu()


def _read(folder: Path, model: PreTrainedModel, rows: Rows, room: Classroom) -> Batches:
    tokenizer = tokenizer_file(folder, scratch=room.scratch)
    settings, text = settings_of(model.config, tokenizer), room.text
    bundle = folder.parent / MANIFEST  # what was fetched of a version of our own lies about its weights
    if bundle.is_file():
        manifest = Manifest.model_validate_json(bundle.read_bytes())
        settings, text = manifest.tokenizer, manifest.text
    encoder = TextEncoder.from_files(tokenizer, settings, text)
    cache = TokenCache(room.cache_dir, tokenizer.read_bytes(), text)
    split = encode(rows, encoder, vocabulary=int(model.config.vocab_size), check=room.check, cache=cache)
    return Batches(split, encoder)


def _names(folder: Path, options: DistillationOptions, labels: Sequence[str]) -> list[str]:
    """Give what the teacher calls each label: as the options say, by the same name, or by it in other letters."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        known = [str(name) for name in config["id2label"].values()]
    except (OSError, ValueError, KeyError, AttributeError):
        raise _other_labels("its config.json names none") from None
    if config.get("problem_type") == "multi_label_classification":
        raise _other_labels("it gives a text any number of them, each decided by itself")
    folded = {name.casefold(): name for name in known}
    wanted = [options.labels.get(label, label) for label in labels]
    found = [name if name in known else folded.get(name.casefold(), name) for name in wanted]
    if sorted(found) != sorted(known):
        raise _other_labels(f"it knows {', '.join(sorted(known)[:20])}", known)
    return found


def _other_labels(why: str, known: Sequence[str] = ()) -> JobFailure:
    return JobFailure(
        detail=f"The teacher does not know the labels of the dataset: {why}.",
        code="teacher-knows-other-labels",
        remedy="Choose a teacher that was trained on these labels, or say in distillation.labels what it calls each.",
        errors=(
            FieldError(TEACHER, "teacher-knows-other-labels", "knows other labels", allowed=list(known)[:50] or None),
        ),
    )
