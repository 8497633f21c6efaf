"""How large an encoder is, read from the numbers of its config: enough to say what training it will take."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.errors import AppError
from app.preflight.hub import Hub
from app.preflight.stored_configs import StoredConfigs
from app.schemas.jobs import PACKAGED_BASE_MODEL, BaseModelRef
from app.settings import Settings

_LARGEST_CONFIG = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes that decide how many numbers an encoder has and makes."""

    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    positions: int
    types: int = 0
    is_pooled: bool = True
    """A dense layer stands between encoder and classifier, as in BERT's family."""
    attention: int = 0
    """Width of the attention over chunks; 0: texts are read as a whole."""

    @property
    def layer_parameters(self) -> int:
        """Four projections of attention, two of the feed-forward part, with biases and two normalizations."""
        return 4 * self.hidden**2 + 2 * self.hidden * self.intermediate + 9 * self.hidden + self.intermediate

    def head_parameters(self, labels: int) -> int:
        """What is learned from scratch, or nearly."""
        if self.attention:
            return (self.hidden + 2) * self.attention + (self.hidden + 1) * labels
        return (self.hidden**2 + self.hidden) * self.is_pooled + (self.hidden + 1) * labels

    @property
    def embedding_parameters(self) -> int:
        """Tables of words, positions and types, and a normalization."""
        return (self.vocabulary + self.positions + self.types + 2) * self.hidden

    def with_attention(self, size: int | None) -> "Shape":
        """Give the shape of a hierarchical network around this encoder; ``size`` None: as wide as the encoder."""
        return replace(self, attention=size or self.hidden, is_pooled=False)

    def parameters(self, labels: int) -> int:
        """All of them, head included."""
        return self.embedding_parameters + self.layers * self.layer_parameters + self.head_parameters(labels)


MINILM = Shape(layers=6, hidden=384, intermediate=1536, vocabulary=30_522, positions=512, types=2)
"""The packaged model, which the API need not have installed."""


class Shapes:
    """Finds the shape of a pinned base model where its config can be read without a worker."""

    def __init__(self, settings: Settings, versions: StoredConfigs) -> None:
        self._settings = settings
        self._versions = versions
        self._hub = Hub(settings)

    def of(self, ref: BaseModelRef) -> Shape | None:
        """Give the shape; None when it is not known here, which is no reason to refuse anything."""
        if ref.source == "package":
            return MINILM if ref.id == PACKAGED_BASE_MODEL else None
        return shape_of(self.config(ref))

    def config(self, ref: BaseModelRef) -> Any:
        """Give what its config.json holds; None when that cannot be read here."""
        match ref.source:
            case "folder":
                folder = self._settings.base_models.get(ref.id)
                return None if folder is None else _read(folder / "config.json")
            case "version":
                return self._versions.of(ref)
            case "hub" if ref.revision is not None:
                return self._from_hub(ref.id, ref.revision)
        return None

    def _from_hub(self, repository: str, commit: str) -> Any:
        cached = _read(self._hub.snapshot(repository, commit) / "config.json")
        if cached is not None or not self._settings.hub_enabled:
            return cached
        try:
            return self._hub.config_of(repository, commit)
        except AppError:
            return None


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes()) if file.stat().st_size < _LARGEST_CONFIG else None
    except (OSError, ValueError):
        return None


def shape_of(config: Any) -> Shape | None:
    """Read the sizes by the names that transformers gives them, or those of a hierarchical network of our own.

    None for what is no encoder.
    """
    if not isinstance(config, Mapping):
        return None
    if config.get("model_type") == "hierarchical":
        inner = shape_of(config.get("encoder"))
        return None if inner is None else inner.with_attention(number_in(config, "attention_size"))
    # One set of weights for all layers, or a second encoder: the sum below would be wrong by far.
    if config.get("model_type") == "albert" or config.get("is_encoder_decoder"):
        return None
    hidden = number_in(config, "hidden_size", "dim", "d_model")
    layers = number_in(config, "num_hidden_layers", "n_layers", "num_layers")
    vocabulary = number_in(config, "vocab_size")
    if not hidden or not layers or not vocabulary:
        return None
    return Shape(
        layers=layers,
        hidden=hidden,
        intermediate=number_in(config, "intermediate_size", "hidden_dim") or 4 * hidden,
        vocabulary=vocabulary,
        positions=number_in(config, "max_position_embeddings"),
        types=number_in(config, "type_vocab_size"),
    )


def number_in(config: Mapping[str, Any], *names: str) -> int:
    """Give the first of these that is a sensible size; 0: none is."""
    for name in names:
        value = config.get(name)
        if type(value) is int and 0 < value < 10**8:
            return value
    return 0
