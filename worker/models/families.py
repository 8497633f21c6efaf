"""The registry of encoder families: what differs between them and cannot be asked of the model itself."""

from dataclasses import dataclass
from typing import Any

from transformers import CONFIG_MAPPING

HIERARCHICAL = "hierarchical"
"""A network of our own around a pretrained encoder, whose config it keeps as ``encoder``."""
SMALL_HIDDEN = 384
LARGE_HIDDEN = 1024


@dataclass(frozen=True, slots=True)
class Family:
    """One model type of transformers, as far as fine-tuning needs to know it."""

    learning_rate: float
    """Peak rate for its base size."""
    head_multiplier: float = 5.0
    dropout_field: str = "classifier_dropout"
    """Field of the config that holds the dropout before the classification head."""
    shifted_positions: bool = False
    """Positions are counted from pad_token_id + 1, so that many are never used."""


FAMILIES: dict[str, Family] = {
    "albert": Family(2e-5, dropout_field="classifier_dropout_prob"),
    "bert": Family(3e-5),
    "camembert": Family(2e-5, shifted_positions=True),
    "deberta": Family(2e-5, dropout_field="cls_dropout"),
    "deberta-v2": Family(2e-5, dropout_field="cls_dropout"),
    "distilbert": Family(5e-5, dropout_field="seq_classif_dropout"),
    "electra": Family(5e-5),
    "modernbert": Family(5e-5),
    # MPNet's head reads the dropout of the whole encoder; its own is set on the module.
    "mpnet": Family(3e-5, dropout_field="", shifted_positions=True),
    "roberta": Family(2e-5, shifted_positions=True),
    "xlm-roberta": Family(2e-5, shifted_positions=True),
}
FROM_SCRATCH: dict[str, Family] = {"textcnn": Family(1e-3, head_multiplier=1.0, dropout_field="dropout")}
"""Networks of our own: nothing of them is pretrained, so the head needs no faster rate than the rest."""
UNKNOWN = Family(2e-5, head_multiplier=2.0, dropout_field="")


@dataclass(frozen=True, slots=True)
class Rates:
    """Default learning rates, and why."""

    learning_rate: float
    head_multiplier: float
    reason: str


def inner_config(config: Any) -> Any:
    """Give the config of the pretrained encoder: of a network around one, that part; else the whole."""
    if config.model_type != HIERARCHICAL:
        return config
    return CONFIG_MAPPING[config.encoder["model_type"]].from_dict(config.encoder)


def dropout_field(config: Any) -> str:
    """Name the field of a config that holds the dropout before the classification head; nothing where there is none."""
    return "dropout" if config.model_type == HIERARCHICAL else family_of(config).dropout_field


def family_of(config: Any) -> Family:
    """Look up the family of an encoder's config, or of that in the network; an unknown one gets cautious defaults."""
    config = inner_config(config)
    return FAMILIES.get(config.model_type) or FROM_SCRATCH.get(config.model_type, UNKNOWN)


def known(config: Any) -> bool:
    """Say whether tests cover models of this type."""
    config = inner_config(config)
    return config.model_type in FAMILIES or config.model_type in FROM_SCRATCH


def default_rates(config: Any, *, head_kept: bool) -> Rates:
    """Give the learning rates that suit a model's family and size; a head that was kept needs no faster rate."""
    config = inner_config(config)
    family = family_of(config)
    hidden = int(getattr(config, "hidden_size", 0) or 0)
    rate, multiplier, reason = family.learning_rate, family.head_multiplier, f"usual for {config.model_type}"
    if not known(config):
        reason = f"cautious, since {config.model_type} is not a known family"
    if hidden >= LARGE_HIDDEN:
        rate, reason = 1e-5, f"large encoders (hidden size {hidden}) diverge at higher rates"
    if 0 < hidden <= SMALL_HIDDEN:
        # Measured with MiniLM on 2,000 tweets, one epoch: macro F1 0.63 at 3e-4 with a head at 1e-3, 0.38 at 5e-5.
        rate, multiplier = 3e-4, 10 / 3
        reason = f"small encoders (hidden size {hidden}) hardly learn at the rates of larger ones"
    if head_kept:
        return Rates(rate, 1.0, f"{reason}; the head is trained already")
    return Rates(rate, multiplier, reason)


def position_limit(config: Any) -> int:
    """Give the most tokens a model can read at a time, special tokens included."""
    config = inner_config(config)
    positions = int(getattr(config, "max_position_embeddings", 0) or 512)
    if family_of(config).shifted_positions:
        return positions - int(config.pad_token_id) - 1
    return positions
