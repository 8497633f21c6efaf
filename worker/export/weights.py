"""The fine-tuned checkpoint in the format of transformers, to train on from here or to use elsewhere."""

from pathlib import Path

from transformers import PreTrainedModel

WHOLE = "1000GB"
"""No sharding: one file, whatever its size."""


def save(model: PreTrainedModel, folder: Path) -> None:
    """Write ``config.json`` with the label names and ``model.safetensors``."""
    model.save_pretrained(folder, max_shard_size=WHOLE)
