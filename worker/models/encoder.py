"""Load a pretrained transformer with a classification head, from a local folder and from safetensors only."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from app.errors import JobFailure
from worker.models.head import head_modules, name_labels, output_layer, reinitialize, reorder
from worker.models.network import Blueprint, Loaded, Network
from worker.models.tokenizer import tokenizer_file


def build(blueprint: Blueprint) -> Network:
    """Make the network of a job: the base model with a head for its labels. Raises JobFailure."""
    folder = blueprint.required_base()
    loaded = load(folder, blueprint.labels)
    return Network(loaded.model, tokenizer_file(folder, scratch=blueprint.scratch), loaded.head_kept)


def load(folder: Path, labels: Sequence[str]) -> Loaded:
    """Load the encoder of ``folder``; its head is kept when it knows exactly these labels, else drawn anew.

    Seed torch before: a new head is random. Raises JobFailure ``unsupported-base-model``, ``incomplete-base-model``.
    """
    config = read_config(folder)
    trained = [str(config.id2label[index]) for index in sorted(config.id2label)]
    same_labels = sorted(trained) == sorted(labels)
    name_labels(config, trained if same_labels else labels)
    model, missing = _load(folder, config)
    _refuse_incomplete(model, missing)
    head_kept = same_labels and not missing & _head_keys(model)
    if not head_kept:
        reinitialize(model)
    elif trained != list(labels):
        reorder(model, trained, labels)
    name_labels(model.config, labels)
    _require_output_layer(model, len(labels))
    return Loaded(model, head_kept)


def read_config(folder: Path) -> Any:
    """Read ``config.json``. Raises JobFailure ``unsupported-base-model``."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unsupported("its config.json names no architecture that transformers has built in") from error
    if getattr(config, "is_encoder_decoder", False):
        raise _unsupported(f"{config.model_type} is an encoder-decoder, and its first token is no summary of the text")
    return config


def _load(folder: Path, config: Any) -> tuple[PreTrainedModel, set[str]]:
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            # A head for other labels has another shape; it is drawn anew.
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise _unsupported(f"{config.model_type} cannot be loaded as a classifier from safetensors files") from error
    return model, set(report["missing_keys"]) | {key for key, *_ in report["mismatched_keys"]}


def _head_keys(model: PreTrainedModel) -> set[str]:
    heads = head_modules(model)
    return {key for key in model.state_dict() if key.partition(".")[0] in heads}


def _refuse_incomplete(model: PreTrainedModel, missing: Iterable[str]) -> None:
    # Checkpoints of language models often come without the pooler, which only classification uses.
    lost = sorted(key for key in set(missing) - _head_keys(model) if "pooler" not in key)
    if lost:
        raise JobFailure(
            detail=f"The base model's files lack {len(lost)} weights of its encoder, such as {lost[0]}.",
            code="incomplete-base-model",
            remedy="Use a complete checkpoint in the format of transformers, whose config.json fits its weights.",
        )


def _require_output_layer(model: PreTrainedModel, labels: int) -> None:
    try:
        output_layer(model, labels)
    except LookupError as error:
        raise _unsupported(str(error)) from error


def _unsupported(reason: str) -> JobFailure:
    return JobFailure(
        detail=f"This base model cannot be fine-tuned: {reason}.",
        code="unsupported-base-model",
        remedy="Use an encoder such as DistilBERT, BERT, RoBERTa, DeBERTa, ModernBERT or MPNet, as safetensors.",
    )
