"""Long documents: a pretrained encoder reads them chunk by chunk, and attention weighs what it makes of each chunk.

The attention is that of Yang et al., "Hierarchical Attention Networks for Document Classification", 2016.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from app.errors import JobFailure
from app.schemas.families import HierarchicalOptions
from worker.models import encoder
from worker.models.families import HIERARCHICAL, inner_config
from worker.models.head import name_labels, set_dropout
from worker.models.network import Blueprint, Loaded, Network
from worker.models.own import load_own
from worker.models.tokenizer import tokenizer_file

_ABOUT_LABELS = ("id2label", "label2id", "problem_type", "heads")


class HierarchicalConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """What ``config.json`` says of such a network; ``encoder`` is the config of the pretrained part."""

    model_type = HIERARCHICAL

    encoder: dict[str, Any] | None = None
    attention_size: int = 768
    dropout: float | int = 0.1
    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    pad_token_id: int | None = 0
    initializer_range: float = 0.02
    max_chunks: int = 20
    chunk_length: int = 512
    overlap: int = 0


class ChunkAttention(nn.Module):
    """One vector for a document: its chunks, each weighed by what it is."""

    def __init__(self, hidden: int, size: int) -> None:
        super().__init__()
        self.projection = nn.Linear(hidden, size)
        self.context = nn.Linear(size, 1, bias=False)

    def forward(self, chunks: Tensor, present: Tensor) -> Tensor:
        """Map chunk vectors (batch, most, hidden), of which some are ``present`` (batch, most), to (batch, hidden)."""
        scores = self.context(torch.tanh(self.projection(chunks))).squeeze(-1)  # (batch, most)
        scores = scores.masked_fill(~present, torch.finfo(scores.dtype).min)
        weights = torch.softmax(scores, dim=-1)
        return (weights.unsqueeze(-1) * chunks).sum(dim=1)


class Hierarchical(PreTrainedModel):  # type: ignore[no-untyped-call]
    """A hierarchical network in the clothes of transformers, so that it is trained, saved and exported as any other."""

    config_class = HierarchicalConfig
    base_model_prefix = "encoder"
    between = ("attention",)
    """New, but no head: it learns at the rate of the encoder, and is never frozen."""

    def __init__(self, config: HierarchicalConfig) -> None:
        super().__init__(config)
        encoder: Any = AutoModel.from_config(inner_config(config))  # type: ignore[no-untyped-call]
        self.encoder = _without_pooler(encoder)
        self.supports_gradient_checkpointing = self.encoder.supports_gradient_checkpointing
        self.attention = ChunkAttention(config.hidden_size, config.attention_size)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.hidden_size, int(config.num_labels or 2))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, chunk_index: Tensor, **_: Any
    ) -> SequenceClassifierOutput:
        """Map ids and mask, each (chunks, seq), to logits (batch, labels).

        ``chunk_index`` (batch, most) names the rows that are the chunks of each document; -1 is none.
        """
        read = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        vectors = read.last_hidden_state[:, 0]  # (chunks, hidden): what the first token became
        chunks = vectors[chunk_index.clamp(min=0)]  # (batch, most, hidden)
        document = self.attention(chunks, chunk_index >= 0)  # (batch, hidden)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(document)))

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            init.normal_(module.weight, mean=0.0, std=self.config.initializer_range)
            if module.bias is not None:
                init.zeros_(module.bias)


def build(options: HierarchicalOptions, blueprint: Blueprint) -> Network:
    """Make the network of a job: trained on from a version of this family, or new around a base model.

    Raises JobFailure.
    """
    base = blueprint.required_base()
    tokenizer = tokenizer_file(base, scratch=blueprint.scratch)
    loaded = load(base, blueprint.labels) if is_hierarchical(base) else around(options, base, blueprint.labels)
    set_dropout(loaded.model, options.dropout)
    return Network(loaded.model, tokenizer, loaded.head_kept)


def is_hierarchical(folder: Path) -> bool:
    """Say whether a folder holds a network of this family."""
    content = json.loads((folder / "config.json").read_bytes())
    return isinstance(content, dict) and content.get("model_type") == HIERARCHICAL


def around(options: HierarchicalOptions, base: Path, labels: Sequence[str]) -> Loaded:
    """Make a new network around the encoder of ``base``; seed torch before: all above the encoder is random.

    Raises JobFailure ``unsupported-base-model``, ``incomplete-base-model``.
    """
    pretrained: Any = encoder.load(base, labels).model.base_model
    inner = pretrained.config
    config = HierarchicalConfig(
        encoder={name: value for name, value in inner.to_dict().items() if name not in _ABOUT_LABELS},
        attention_size=options.attention_size or inner.hidden_size,
        dropout=options.dropout,
        vocab_size=inner.vocab_size,
        hidden_size=inner.hidden_size,
        num_hidden_layers=inner.num_hidden_layers,
        pad_token_id=inner.pad_token_id,
        initializer_range=float(getattr(inner, "initializer_range", 0.02)),
    )
    config.num_labels = len(labels)
    with torch.device("meta"):  # the encoder that it makes for itself is not needed
        model = Hierarchical(config)
    model.encoder = _without_pooler(pretrained)
    for part in (model.attention.to_empty(device="cpu"), model.classifier.to_empty(device="cpu")):
        _draw(part, config.initializer_range)
    name_labels(model.config, labels)
    return Loaded(model, head_kept=False)


def load(folder: Path, labels: Sequence[str]) -> Loaded:
    """Load a network that was trained before. Raises JobFailure ``unsupported-base-model``."""
    return load_own(Hierarchical, folder, labels, _unsupported())


def _without_pooler(model: Any) -> Any:
    """Take away the layer that makes one vector of a text for other heads: here it would never learn."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


@torch.no_grad()
def _draw(part: nn.Module, spread: float) -> None:
    for layer in part.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=spread)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _unsupported() -> JobFailure:
    return JobFailure(
        detail="The base model's folder holds no complete hierarchical network.",
        code="unsupported-base-model",
        remedy="Start from a version that was trained with family hierarchical or encoder, or from another base model.",
    )
