"""What training takes of a GPU's memory, by component, true to how mixed precision works.

Weights, gradients and the optimizer's state stay in fp32 whatever the precision; only activations shrink, and the
16-bit copies of the weights come on top. The factors of the activations were measured on BERT, DistilBERT and RoBERTa
by adding up what PyTorch saves for the backward pass; the attention matrix is never stored, as in fused attention.
"""

import math
from dataclasses import dataclass

from app.preflight.shapes import Shape
from app.schemas.datasets import DatasetProfile
from app.schemas.families import HierarchicalOptions
from app.schemas.hyperparameters import Hyperparameters
from app.schemas.plans import MemoryEstimate

MIB = 1024 * 1024
USUAL_CHUNK = 512
"""Tokens of a chunk at most, where nobody says how many."""
CHARACTERS_PER_TOKEN = 3.5
"""Of a word-piece tokenizer on European text; a guess for max_length auto, on the safe side."""


@dataclass(frozen=True, slots=True)
class Load:
    """One forward pass and what it is for."""

    batch_size: int
    max_length: int
    labels: int
    chunks: int = 1
    """Passages of ``max_length`` that each text has."""


@dataclass(frozen=True, slots=True)
class _Factors:
    """Bytes that a layer keeps for each number of its width and of its feed-forward part's; bytes of a cast weight."""

    hidden: int
    intermediate: int
    casts: int


_FULL = _Factors(hidden=40, intermediate=8, casts=0)
_HALF = _Factors(hidden=26, intermediate=4, casts=2)
_EMBEDDING_BYTES = 12


def length_in_tokens(wishes: Hyperparameters, p99_characters: int, limit: int) -> int:
    """Guess what max_length will be; ``limit`` is the model's."""
    if wishes.max_length != "auto":
        return wishes.max_length
    return max(8, min(limit or 512, round(p99_characters / CHARACTERS_PER_TOKEN) + 2))


def load_of_documents(
    family: HierarchicalOptions, wishes: Hyperparameters, profile: DatasetProfile, batch_size: int, limit: int
) -> Load:
    """Guess the forward pass of a network that reads chunks from the lengths of the texts; ``limit`` is the model's."""
    wished = wishes.max_length if family.chunk_length == "auto" else family.chunk_length
    length = min(limit or USUAL_CHUNK, USUAL_CHUNK) if wished == "auto" else wished
    tokens = profile.text_lengths.p99 / CHARACTERS_PER_TOKEN
    fresh = max(1, length - family.overlap - 2)  # of each chunk after the first
    chunks = 1 + max(0, math.ceil((tokens - length + 2) / fresh))
    length = length if chunks > 1 else max(8, min(length, round(tokens) + 2))
    return Load(batch_size, length, len(profile.labels), chunks=min(chunks, family.max_chunks))


def estimate_memory(shape: Shape, wishes: Hyperparameters, load: Load) -> MemoryEstimate:
    """Add up the components of one training step. ``precision`` auto counts as 16 bits, as on any recent GPU."""
    factors = _FULL if wishes.precision == "fp32" else _HALF
    parameters = shape.parameters(load.labels)
    trainable = shape.head_parameters(load.labels) if wishes.freeze_base else parameters
    tokens = load.batch_size * load.chunks * load.max_length
    parts = {
        "parameters_mb": 4 * parameters,
        "gradients_mb": 4 * trainable,
        "optimizer_mb": 4 * _state_numbers(shape, wishes, load.labels),
        "casts_mb": factors.casts * (parameters - shape.embedding_parameters),
        "activations_mb": 0 if wishes.freeze_base else tokens * _bytes_per_token(shape, factors, wishes),
    }
    sizes = {name: round(size / MIB, 1) for name, size in parts.items()}
    return MemoryEstimate(
        batch_size=load.batch_size,
        max_length=load.max_length,
        chunks=load.chunks,
        parameters=parameters,
        trainable_parameters=trainable,
        total_mb=round(sum(parts.values()) / MIB, 1),
        **sizes,
    )


def _bytes_per_token(shape: Shape, factors: _Factors, wishes: Hyperparameters) -> int:
    layer = factors.hidden * shape.hidden + factors.intermediate * shape.intermediate
    if wishes.gradient_checkpointing:  # the input of every layer, and all of the one that is being computed again
        return (_EMBEDDING_BYTES + 4 * shape.layers) * shape.hidden + layer
    return _EMBEDDING_BYTES * shape.hidden + shape.layers * layer


def _state_numbers(shape: Shape, wishes: Hyperparameters, labels: int) -> int:
    if wishes.optim == "adamw":
        return 2 * (shape.head_parameters(labels) if wishes.freeze_base else shape.parameters(labels))
    head = 3 * shape.hidden * shape.is_pooled + shape.hidden + 2 * labels
    if shape.attention:  # a matrix, its biases, and a single row
        head += shape.hidden + 3 * shape.attention + 1
    return head if wishes.freeze_base else head + _factors_of_base(shape)


def _factors_of_base(shape: Shape) -> int:
    """Count a row and a column of each matrix, and all of each vector, as Adafactor keeps them."""
    layer = 4 * 2 * shape.hidden + 2 * (shape.hidden + shape.intermediate) + 9 * shape.hidden + shape.intermediate
    tables = [rows for rows in (shape.vocabulary, shape.positions, shape.types) if rows]
    return shape.layers * layer + sum(rows + shape.hidden for rows in tables) + 2 * shape.hidden
