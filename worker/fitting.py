"""How a batch is split so that a device can hold it: tried on the longest texts before the first step."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import nn
from transformers import PreTrainedModel

from app.errors import JobFailure
from app.schemas.hyperparameters import MOST_PASSES, Resolution, ResolvedHyperparameters
from worker.batch import Batch
from worker.data.batches import Batches, Rows
from worker.data.prepare import Prepared
from worker.events import AttemptSpec
from worker.heads import Head
from worker.memory import Memory, release
from worker.models.depth import depths
from worker.models.head import between_parameters, head_parameters
from worker.training.checkpoint import batch_of
from worker.training.loop import Training

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Room:
    """Where a batch has to fit in."""

    device: torch.device
    memory: Memory


@dataclass(frozen=True, slots=True)
class _Trial:
    """What came out: the parts of a batch, and what one of them takes of the memory by component, in bytes."""

    parts: int
    taken: dict[str, int]


def fit(spec: AttemptSpec, heads: Sequence[Head], model: PreTrainedModel, data: Prepared, room: Room) -> Prepared:
    """Split the batches that ``auto`` resolved to as far as memory needs it; each step learns from as many texts.

    ``model`` is on the device, ready for training, and comes back bit by bit as it was; so do the random generators.
    What a checkpoint was made with is kept, since its place in the data is counted in batches.
    """
    wishes = data.hyperparameters
    saved = None if spec.resume_from is None else batch_of(spec.resume_from)
    if saved is not None and saved[0] * saved[1] == wishes.batch_size * wishes.gradient_accumulation_steps:
        return _split(data, saved[0], f"the checkpoint that training goes on from has {saved[0]} texts a pass")
    with _untouched(model, room.device):
        trial = _try(spec, heads, model, data, room)
    size = _allowed(wishes, trial.parts)
    return _split(data, size, _reason(trial, size, room.memory))


def _try(spec: AttemptSpec, heads: Sequence[Head], model: PreTrainedModel, data: Prepared, room: Room) -> _Trial:
    rehearsal = Training(
        model,
        _Longest(data.train),
        _hardest(data.hyperparameters),
        labels=spec.labels,
        head=head_parameters(model),
        between=between_parameters(model),
        total_steps=data.total_steps,
        device=room.device,
        folder=spec.work_dir,
        evaluate=None,
        depths=depths(model),
        problem_type=spec.problem_type,
        heads=heads,
    )
    try:
        rehearsal.rehearse(2)  # the optimizer's state is there from the second step on
        room.memory.forget_peak()
        parts = rehearsal.rehearse(1)
    except JobFailure:  # the job itself will climb on, or say so
        return _Trial(data.hyperparameters.batch_size, {})
    held = rehearsal.bytes_held()
    return _Trial(parts, held | {"activations": room.memory.peak_beyond(sum(held.values()))})


class _Longest:
    """The longest texts of a split, batch after batch."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def plan(self, batch_size: int, *, seed: int, epoch: int) -> Sequence[Rows]:  # noqa: ARG002 - a Source's
        """Give the same rows for two steps of two batches."""
        return [self._batches.longest(batch_size)] * 4

    def load(self, rows: Rows) -> Batch:
        """Make one batch."""
        return self._batches.load(rows)


def _hardest(wishes: ResolvedHyperparameters) -> ResolvedHyperparameters:
    """Give the wishes for as few steps as possible that take as much memory as any: all layers that ever learn, do."""
    widest = wishes.unfreeze_schedule
    if widest is not None:
        widest = {"0": widest[max(widest, key=int)]}
    return wishes.model_copy(
        update={
            "gradient_accumulation_steps": min(2, wishes.gradient_accumulation_steps),
            "unfreeze_schedule": widest,
            "distillation": None,
            "curriculum": None,
        }
    )


@contextmanager
def _untouched(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put weights, what learns, and the generators of torch back to what they were; free what was taken."""
    before = {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}
    learns = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
    model.load_state_dict(before)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(learns[name])
        parameter.grad = None
    gc.collect()
    release()


def _allowed(wishes: ResolvedHyperparameters, parts: int) -> int:
    """Give the size of a part of which a step may have as many as it needs."""
    while wishes.gradient_accumulation_steps * parts > MOST_PASSES:
        parts //= 2
    return wishes.batch_size // parts


def _split(data: Prepared, size: int, reason: str) -> Prepared:
    wishes = data.hyperparameters
    texts = wishes.batch_size * wishes.gradient_accumulation_steps
    rule = next((item.reason for item in data.resolutions if item.field == "batch_size"), "")
    others = [item for item in data.resolutions if item.field != "batch_size"]
    if size == wishes.batch_size:
        found = [Resolution(field="batch_size", value=size, reason=f"{rule}; {reason}")]
    else:
        passes = texts // size
        found = [
            Resolution(field="batch_size", value=size, reason=reason),
            Resolution(
                field="gradient_accumulation_steps",
                value=passes,
                reason=f"each step learns from {texts} texts all the same ({rule})",
            ),
        ]
        wishes = wishes.model_copy(update={"batch_size": size, "gradient_accumulation_steps": passes})
    return replace(data, hyperparameters=wishes, resolutions=[*found, *others])


def _reason(trial: _Trial, size: int, memory: Memory) -> str:
    if not trial.taken:
        return "not even one of the longest texts fits into the memory of the GPU, as was tried"
    sizes = ", ".join(f"{name} {amount / MIB:,.0f} MB" for name, amount in trial.taken.items())
    whole = "" if memory.total is None else f" of its {memory.total / MIB:,.0f} MB"
    more = f", and {2 * size} do not" if trial.parts > 1 else ""
    return f"{size} of the longest texts at once fit into the memory of the GPU, as was tried{more}: {sizes}{whole}"
