"""What a job would take of a GPU's memory: the shape of its network, and the forward passes that its rows make."""

import math

from app.preflight.memory import Load, estimate_memory, length_in_tokens, load_of_documents
from app.preflight.shapes import Shapes
from app.preflight.text_cnn import estimate_text_cnn, trained_before
from app.schemas.datasets import DatasetProfile
from app.schemas.families import LONGEST_INPUT, HierarchicalOptions, TextCNNOptions
from app.schemas.jobs import BaseModelRef, TrainJobRequest
from app.schemas.plans import MemoryEstimate


def memory_of(
    request: TrainJobRequest, base_model: BaseModelRef, data: DatasetProfile, batch_size: int, shapes: Shapes
) -> MemoryEstimate | None:
    """Say what training would take of each GPU; None when the shape of the base model is not known here.

    ``devices`` auto counts as one GPU, which takes the most.
    """
    if request.hyperparameters.devices != "auto":
        batch_size = _largest_part(
            batch_size, request.hyperparameters.gradient_accumulation_steps, request.hyperparameters.devices
        )
    family, wishes = request.family, request.hyperparameters
    if isinstance(family, TextCNNOptions):
        return _text_cnn(family, request, base_model, data, batch_size, shapes)
    shape = shapes.of(base_model)
    if shape is None:
        return None
    if isinstance(family, HierarchicalOptions):
        load = load_of_documents(family, wishes, data, batch_size, shape.positions)
        # A version of this family decides how wide the attention is.
        whole = shape if shape.attention else shape.with_attention(family.attention_size)
        return estimate_memory(whole, wishes, load)
    length = length_in_tokens(wishes, data.text_lengths.p99, shape.positions)
    return estimate_memory(shape, wishes, Load(batch_size, length, len(data.labels)))


def _largest_part(batch_size: int, passes: int, devices: int) -> int:
    """Give the texts of a forward pass: of a whole batch where there are enough of them for all devices."""
    return batch_size if passes >= devices else math.ceil(batch_size / devices)


def _text_cnn(
    family: TextCNNOptions,
    request: TrainJobRequest,
    base_model: BaseModelRef,
    data: DatasetProfile,
    batch_size: int,
    shapes: Shapes,
) -> MemoryEstimate | None:
    """A version of this family brings all sizes, another base model its vocabulary, and none the job's options."""
    wishes = request.hyperparameters
    load = Load(batch_size, length_in_tokens(wishes, data.text_lengths.p99, LONGEST_INPUT), len(data.labels))
    before = trained_before(family, shapes.config(base_model))
    if before is not None:
        return estimate_text_cnn(before, wishes, load, vocabulary=before.vocab_size)
    if base_model.source == "none":
        return estimate_text_cnn(family, wishes, load, vocabulary=family.vocab_size)
    shape = shapes.of(base_model)
    return None if shape is None else estimate_text_cnn(family, wishes, load, vocabulary=shape.vocabulary)
