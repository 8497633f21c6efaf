"""TextCNN: embedding, parallel convolutions, the strongest answer of each filter, a linear layer.

Kim, "Convolutional Neural Networks for Sentence Classification", 2014.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from app.errors import JobFailure
from app.schemas.families import LONGEST_INPUT, TextCNNOptions
from worker.models.encoder import read_config
from worker.models.head import name_labels, set_dropout
from worker.models.network import Blueprint, Loaded, Network
from worker.models.own import load_own
from worker.models.tokenizer import TOKENIZER, pad_token_id, tokenizer_file, vocabulary_size
from worker.models.vocabulary import PAD_TOKEN_ID, train_tokenizer

MODEL_TYPE = "textcnn"


class TextCNNConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """What ``config.json`` says of a TextCNN."""

    model_type = MODEL_TYPE

    vocab_size: int = 30522
    embed_size: int = 128
    num_filters: int = 100
    filter_sizes: list[int] | tuple[int, ...] = (3, 4, 5)
    dropout: float | int = 0.5
    pad_token_id: int | None = 0
    max_position_embeddings: int = LONGEST_INPUT
    initializer_range: float = 0.05


class Features(nn.Module):
    """Word pieces to one number a filter."""

    def __init__(self, config: TextCNNConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.embed_size, padding_idx=config.pad_token_id)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.embed_size, config.num_filters, size) for size in config.filter_sizes
        )
        self._widest = max(config.filter_sizes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map ids and mask, each (batch, seq), to features (batch, filters of all sizes).

        Padding changes nothing: it is embedded as zeros, and no filter's answer counts from where it would see padding
        unless the text is shorter than the filter.
        """
        vectors = self.embedding(input_ids) * attention_mask.unsqueeze(-1)  # (batch, seq, embed)
        # Zeros behind the text, so that the widest filter fits into a text of any length, even of none.
        vectors = nn.functional.pad(vectors.transpose(1, 2), (0, self._widest))  # (batch, embed, seq + widest)
        lengths = attention_mask.sum(dim=1, keepdim=True)  # (batch, 1)
        return torch.cat([self._strongest(layer, vectors, lengths) for layer in self.convolutions], dim=1)

    @staticmethod
    def _strongest(layer: nn.Module, vectors: Tensor, lengths: Tensor) -> Tensor:
        answers = torch.relu(layer(vectors))  # (batch, filters, windows)
        starts = torch.arange(answers.shape[2], device=answers.device)  # (windows,)
        size = layer.kernel_size[0]  # type: ignore[index]
        counts = starts <= (lengths - size).clamp(min=0)  # (batch, windows)
        # After the rectifier nothing is below zero, so that zeros never win over an answer that counts.
        return (answers * counts.unsqueeze(1)).amax(dim=2)  # (batch, filters)


class TextCNN(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A TextCNN in the clothes of transformers, so that it is trained, saved and exported as any other model."""

    config_class = TextCNNConfig
    base_model_prefix = "features"

    def __init__(self, config: TextCNNConfig) -> None:
        super().__init__(config)
        self.features = Features(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.num_filters * len(config.filter_sizes), int(config.num_labels or 2))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_: Any) -> SequenceClassifierOutput:
        """Map ids and mask, each (batch, seq), to logits (batch, labels)."""
        features = self.features(input_ids, attention_mask)  # (batch, filters of all sizes)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(features)))

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            init.uniform_(module.weight, -0.25, 0.25)
            if module.padding_idx is not None:
                init.zeros_(module.weight[module.padding_idx])
        elif isinstance(module, nn.Conv1d | nn.Linear):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)


def build(options: TextCNNOptions, blueprint: Blueprint) -> Network:
    """Make the network of a job: trained on from a version of this family, or new. Raises JobFailure."""
    base = blueprint.base
    if base is not None and _is_textcnn(base):
        loaded = load(base, blueprint.labels)
        set_dropout(loaded.model, options.dropout)
        return Network(loaded.model, tokenizer_file(base, scratch=blueprint.scratch), loaded.head_kept)
    if options.tokenizer == "own":
        tokenizer, padding = blueprint.scratch / TOKENIZER, PAD_TOKEN_ID
        train_tokenizer(blueprint.texts, options, blueprint.text, tokenizer, check=blueprint.check)
    else:
        folder = blueprint.required_base()
        tokenizer = tokenizer_file(folder, scratch=blueprint.scratch)
        padding = pad_token_id(read_config(folder), tokenizer)
    loaded = create(options, blueprint.labels, vocabulary=vocabulary_size(tokenizer), pad_token_id=padding)
    return Network(loaded.model, tokenizer, loaded.head_kept)


def _is_textcnn(folder: Path) -> bool:
    content = json.loads((folder / "config.json").read_bytes())
    return isinstance(content, dict) and content.get("model_type") == MODEL_TYPE


def create(options: TextCNNOptions, labels: Sequence[str], *, vocabulary: int, pad_token_id: int) -> Loaded:
    """Make a new network for a tokenizer of ``vocabulary`` ids; seed torch before: all of it is random."""
    config = TextCNNConfig(
        vocab_size=vocabulary,
        embed_size=options.embed_size,
        num_filters=options.num_filters,
        filter_sizes=list(options.filter_sizes),
        dropout=options.dropout,
        pad_token_id=pad_token_id,
    )
    config.num_labels = len(labels)
    model = TextCNN(config)
    name_labels(model.config, labels)
    return Loaded(model, head_kept=False)


def load(folder: Path, labels: Sequence[str]) -> Loaded:
    """Load a network that was trained before. Raises JobFailure ``unsupported-base-model``."""
    return load_own(TextCNN, folder, labels, _unsupported())


def _unsupported() -> JobFailure:
    return JobFailure(
        detail="The base model's folder holds no complete TextCNN.",
        code="unsupported-base-model",
        remedy="Start from a version that was trained with family textcnn, or leave out the warm start.",
    )
