"""How large an encoder is, read from the numbers of its config: enough to say what training it will take."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.errors import AppError
from app.preflight.hub import Hub
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

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hub = Hub(settings)

    def of(self, ref: BaseModelRef) -> Shape | None:
        """Give the shape; None when it is not known here, which is no reason to refuse anything."""
        match ref.source:
            case "package":
                return MINILM if ref.id == PACKAGED_BASE_MODEL else None
            case "folder":
                folder = self._settings.base_models.get(ref.id)
                return None if folder is None else _read(folder / "config.json")
            case "hub" if ref.revision is not None:
                return self._from_hub(ref.id, ref.revision)
        return None

    def _from_hub(self, repository: str, commit: str) -> Shape | None:
        cached = _read(self._hub.snapshot(repository, commit) / "config.json")
        if cached is not None or not self._settings.hub_enabled:
            return cached
        try:
            return shape_of(self._hub.config_of(repository, commit))
        except AppError:
            return None


def _read(file: Path) -> Shape | None:
    try:
        config = json.loads(file.read_bytes()) if file.stat().st_size < _LARGEST_CONFIG else None
    except (OSError, ValueError):
        return None
    return shape_of(config)


def shape_of(config: Any) -> Shape | None:
    """Read the sizes by the names that transformers gives them; None for what is no plain encoder."""
    if not isinstance(config, Mapping):
        return None
    # One set of weights for all layers, or a second encoder: the sum below would be wrong by far.
    if config.get("model_type") == "albert" or config.get("is_encoder_decoder"):
        return None
    hidden = _number(config, "hidden_size", "dim", "d_model")
    layers = _number(config, "num_hidden_layers", "n_layers", "num_layers")
    vocabulary = _number(config, "vocab_size")
    if not hidden or not layers or not vocabulary:
        return None
    return Shape(
        layers=layers,
        hidden=hidden,
        intermediate=_number(config, "intermediate_size", "hidden_dim") or 4 * hidden,
        vocabulary=vocabulary,
        positions=_number(config, "max_position_embeddings"),
        types=_number(config, "type_vocab_size"),
    )


def _number(config: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = config.get(name)
        if type(value) is int and 0 < value < 10**8:
            return value
    return 0
