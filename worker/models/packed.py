"""Encoders of transformers called without padding, and with nothing but the first token of a text above their last
attention: the same logits and gradients for less work. The modules and their weights are untouched."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from worker.models.dropping import cheapen
from worker.models.packing import NAME, Packing, attend_with_firsts, register

USUAL = "sdpa"
"""The attention that the packed one stands in for."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The parts of one layer, by what they do."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear
    """What attention found, back into the row."""
    output_norm: nn.LayerNorm
    widen: nn.Linear
    activation: Callable[[Tensor], Tensor]
    narrow: nn.Linear
    norm: nn.LayerNorm
    scale: float
    """Of the scores of attention."""


class Anatomy(ABC):
    """Where a family has its parts, and what it makes of the first tokens."""

    positions_are_places = True
    """Whether the position of a token is its place in the text, whatever token it is."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.base = getattr(model, model.base_model_prefix)

    @property
    @abstractmethod
    def layers(self) -> Iterable[Any]:
        """Give the layers from the bottom up."""

    def positions(self, input_ids: Tensor) -> Tensor:
        """Give the positions of a padded batch, (texts, seq)."""
        return torch.arange(input_ids.shape[1]).expand_as(input_ids)

    @abstractmethod
    def parts(self, layer: Any) -> Layer:
        """Name the parts of a layer."""

    @abstractmethod
    def last(self, layer: Any, hidden: Tensor, packing: Packing) -> Tensor:
        """Pass the last layer for the first tokens only: (1, tokens, hidden) becomes (texts, 1, hidden)."""

    @abstractmethod
    def logits(self, firsts: Tensor) -> Tensor:
        """Let the head answer first tokens, (texts, 1, hidden)."""


class Bert(Anatomy):
    """BERT, and those made of its layers."""

    @property
    def layers(self) -> Iterable[Any]:
        """Give the layers from the bottom up."""
        layers: nn.ModuleList = self.base.encoder.layer
        return layers

    def last(self, layer: Any, hidden: Tensor, packing: Packing) -> Tensor:
        """Pass the last layer for the first tokens only: (1, tokens, hidden) becomes (texts, 1, hidden)."""
        own = layer.attention.self
        firsts = hidden[:, packing.firsts]  # (1, texts, hidden)
        context = _context(own, (own.query(firsts), own.key(hidden), own.value(hidden)), packing)
        attended = layer.attention.output(context, firsts)
        passed: Tensor = layer.output(layer.intermediate(attended), attended)
        return passed.transpose(0, 1)

    def parts(self, layer: Any) -> Layer:
        """Name the parts of a layer."""
        own, output = layer.attention.self, layer.attention.output
        return Layer(
            query=own.query,
            key=own.key,
            value=own.value,
            output=output.dense,
            output_norm=output.LayerNorm,
            widen=layer.intermediate.dense,
            activation=layer.intermediate.intermediate_act_fn,
            narrow=layer.output.dense,
            norm=layer.output.LayerNorm,
            scale=own.scaling,
        )

    def logits(self, firsts: Tensor) -> Tensor:
        """Let the head answer first tokens, (texts, 1, hidden)."""
        answer: Tensor = self.model.classifier(self.model.dropout(self.base.pooler(firsts)))
        return answer


class Roberta(Bert):
    """RoBERTa and its kin: positions from padding_idx + 1, and another head."""

    positions_are_places = False

    def positions(self, input_ids: Tensor) -> Tensor:
        """Give the positions of a padded batch, (texts, seq)."""
        embeddings = self.base.embeddings
        found: Tensor = embeddings.create_position_ids_from_input_ids(input_ids, embeddings.padding_idx)
        return found

    def logits(self, firsts: Tensor) -> Tensor:
        """Let the head answer first tokens, (texts, 1, hidden)."""
        answer: Tensor = self.model.classifier(firsts)
        return answer


class DistilBert(Anatomy):
    """DistilBERT."""

    @property
    def layers(self) -> Iterable[Any]:
        """Give the layers from the bottom up."""
        layers: nn.ModuleList = self.base.transformer.layer
        return layers

    def last(self, layer: Any, hidden: Tensor, packing: Packing) -> Tensor:
        """Pass the last layer for the first tokens only: (1, tokens, hidden) becomes (texts, 1, hidden)."""
        own = layer.attention
        firsts = hidden[:, packing.firsts]  # (1, texts, hidden)
        context = _context(own, (own.q_lin(firsts), own.k_lin(hidden), own.v_lin(hidden)), packing)
        attended = layer.sa_layer_norm(own.out_lin(context) + firsts)
        passed: Tensor = layer.output_layer_norm(layer.ffn(attended) + attended)
        return passed.transpose(0, 1)

    def parts(self, layer: Any) -> Layer:
        """Name the parts of a layer."""
        own = layer.attention
        return Layer(
            query=own.q_lin,
            key=own.k_lin,
            value=own.v_lin,
            output=own.out_lin,
            output_norm=layer.sa_layer_norm,
            widen=layer.ffn.lin1,
            activation=layer.ffn.activation,
            narrow=layer.ffn.lin2,
            norm=layer.output_layer_norm,
            scale=own.scaling,
        )

    def logits(self, firsts: Tensor) -> Tensor:
        """Let the head answer first tokens, (texts, 1, hidden)."""
        pooled = functional.relu(self.model.pre_classifier(firsts[:, 0]))
        answer: Tensor = self.model.classifier(self.model.dropout(pooled))
        return answer


ANATOMIES: dict[str, type[Anatomy]] = {
    "BertForSequenceClassification": Bert,
    "CamembertForSequenceClassification": Roberta,
    "DistilBertForSequenceClassification": DistilBert,
    "RobertaForSequenceClassification": Roberta,
    "XLMRobertaForSequenceClassification": Roberta,
}


def _context(own: Any, projected: tuple[Tensor, Tensor, Tensor], packing: Packing) -> Tensor:
    """Attend with one query a text; give (1, texts, hidden)."""
    query, key, value = (each.view(*each.shape[:2], -1, own.attention_head_size).transpose(1, 2) for each in projected)
    dropout = own.dropout.p if own.training else 0.0
    return attend_with_firsts(query, key, value, packing, scale=own.scaling, dropout=dropout).flatten(2)


class Packed(nn.Module):
    """A classifier that is called with padded batches and computes hardly any of the padding."""

    def __init__(self, model: PreTrainedModel, anatomy: Anatomy) -> None:
        super().__init__()
        self.model = model
        self.anatomy = anatomy
        self._put_back = cheapen(model)
        self._computed = 0
        self._wasted = 0

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SequenceClassifierOutput:
        """Map a batch padded on the right to its logits, (texts, labels)."""
        if self.model.is_activation_checkpointing:  # its layers are called once more in the backward pass
            self._count(attention_mask.numel(), int(attention_mask.sum()))
            answer: SequenceClassifierOutput = self.model(input_ids=input_ids, attention_mask=attention_mask)
            return answer
        packing = Packing.of(attention_mask)
        self._count(packing.length, packing.count)
        return SequenceClassifierOutput(logits=self.logits(input_ids, packing))

    def logits(self, input_ids: Tensor, packing: Packing) -> Tensor:
        """Map the ids of a padded batch, (texts, seq), to its logits, (texts, labels)."""
        anatomy = self.anatomy
        positions = packing.pack(anatomy.positions(input_ids))
        hidden = anatomy.base.embeddings(input_ids=packing.pack(input_ids), position_ids=positions)
        for layer in list(anatomy.layers)[:-1]:
            hidden = layer(hidden, packing)  # (1, tokens, hidden)
        return anatomy.logits(self.top(hidden, packing))

    def top(self, hidden: Tensor, packing: Packing) -> Tensor:
        """Pass the last layer: (1, tokens, hidden) becomes (texts, 1, hidden)."""
        *_, last = self.anatomy.layers
        return self.anatomy.last(last, hidden, packing)

    def _count(self, computed: int, needed: int) -> None:
        if self.model.training:
            self._computed += computed
            self._wasted += computed - needed

    @property
    def padding_fraction(self) -> float | None:
        """Say what share of the tokens computed in training belonged to no text; None before the first."""
        return self._wasted / self._computed if self._computed else None

    def release(self) -> PreTrainedModel:
        """Give the model back with the attention and the dropout it came with."""
        self._put_back()
        self.model.set_attn_implementation(USUAL)
        return self.model


def obstacle(model: PreTrainedModel, device: torch.device) -> str | None:
    """Say why a model is not to be trained packed; None: it can be."""
    if model.is_activation_checkpointing:
        return "with gradient_checkpointing layers are called with padding"
    if (why := misfit(model)) is not None:
        return why
    return None if device.type == "cpu" else "on a GPU padding costs less than many small kernels"


def misfit(model: nn.Module) -> str | None:
    """Say what of a model has no packed form; None: all of it has one."""
    if not isinstance(model, PreTrainedModel) or type(model).__name__ not in ANATOMIES:
        kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        return f"networks of type {kind} are called with padding"
    config: Any = model.config
    if getattr(config, "is_decoder", False) or getattr(config, "chunk_size_feed_forward", 0):
        return "its config asks for a decoder, or for layers that are computed in chunks"
    if config._attn_implementation != USUAL:
        return f"its attention is {config._attn_implementation}, not {USUAL}"
    return None


def packed(model: PreTrainedModel, kind: type[Packed] = Packed) -> Packed:
    """Make the packed form of a model without a ``misfit``; it shares all weights."""
    register()
    model.set_attn_implementation(NAME)
    return kind(model, ANATOMIES[type(model).__name__](model))
