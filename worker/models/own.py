"""Networks of our own architectures, loaded again from a bundle's weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel

from app.errors import JobFailure
from worker.models.head import name_labels, reinitialize, reorder
from worker.models.network import Loaded

HEAD = "classifier."
"""How the names of the head's weights begin, in every network of ours."""


def load_own(network: type[PreTrainedModel], folder: Path, labels: Sequence[str], unsupported: JobFailure) -> Loaded:
    """Load a network that was trained before; its head is kept when it knows exactly these labels, else drawn anew.

    Raises ``unsupported`` when ``folder`` holds no complete network of this class.
    """
    architecture: Any = network
    try:
        config = architecture.config_class.from_pretrained(folder, local_files_only=True)
        trained = [config.id2label[index] for index in sorted(config.id2label)]
        same_labels = sorted(trained) == sorted(labels)
        config.num_labels = len(trained if same_labels else labels)
        model, report = architecture.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            ignore_mismatched_sizes=not same_labels,
            output_loading_info=True,
        )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise unsupported from error
    lost = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    if any(not key.startswith(HEAD) for key in lost):
        raise unsupported
    head_kept = same_labels and not lost
    if not head_kept:
        reinitialize(model)
    elif trained != list(labels):
        reorder(model, trained, labels)
    name_labels(model.config, labels)
    return Loaded(model, head_kept)
