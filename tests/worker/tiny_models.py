"""A tiny random base model of every family: what a hub would give, in a few kilobytes."""

from pathlib import Path
from typing import Any

import torch
import transformers

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 400,
    "initializer_range": 0.1,
}
FROM_PADDING = {"max_position_embeddings": 66, "pad_token_id": 1}
READS = 64
"""Tokens that each of them can read."""


def tiny_config(family: str) -> Any:
    """Make the config of a family."""
    plain = SHAPE | {"max_position_embeddings": READS}
    match family:
        case "bert":
            return transformers.BertConfig(**plain)
        case "distilbert":
            return transformers.DistilBertConfig(
                dim=32, n_layers=2, n_heads=4, hidden_dim=64, vocab_size=400, max_position_embeddings=READS,
                initializer_range=0.1,
            )  # fmt: skip
        case "roberta":
            return transformers.RobertaConfig(**SHAPE, **FROM_PADDING)
        case "xlm-roberta":
            return transformers.XLMRobertaConfig(**SHAPE, **FROM_PADDING)
        case "camembert":
            return transformers.CamembertConfig(**SHAPE, **FROM_PADDING)
        case "mpnet":
            return transformers.MPNetConfig(**SHAPE, **FROM_PADDING)
        case "deberta-v2":
            return transformers.DebertaV2Config(
                **plain, relative_attention=True, position_buckets=16, pos_att_type=["p2c", "c2p"], share_att_key=True,
                norm_rel_ebd="layer_norm", position_biased_input=False, type_vocab_size=0, pooler_hidden_size=32,
            )  # fmt: skip
        case "deberta":
            return transformers.DebertaConfig(**plain, relative_attention=True, pos_att_type=["p2c", "c2p"])
        case "modernbert":
            return transformers.ModernBertConfig(
                **plain, pad_token_id=0, local_attention=8, global_attn_every_n_layers=2
            )
        case "electra":
            return transformers.ElectraConfig(**plain, embedding_size=32)
        case "albert":
            return transformers.AlbertConfig(**plain, embedding_size=16)
    raise LookupError(family)


def save_base(family: str, folder: Path, *, layers: int = 2) -> Path:
    """Write the encoder without a head, as a pretrained base model comes."""
    torch.manual_seed(3)
    config = tiny_config(family)
    config.num_hidden_layers = layers
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    return folder
