"""The files that make a folder a usable base model, and the refusals when they do not."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from app.errors import JobFailure
from worker.events import Message

CONFIG: Final = "config.json"
TOKENIZERS: Final = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
)
"""Any of these will do: the training process makes a tokenizer.json of the older ones."""
FILES: Final = (
    CONFIG,
    "model.safetensors",
    "model-*.safetensors",
    "model.safetensors.index.json",
    *TOKENIZERS,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
"""All that is ever asked for: no pickle, no code."""

# Architectures that the training stack implements itself, so that a repository's own code is not needed.
BUILT_IN: Final = frozenset(
    {
        "albert",
        "bert",
        "camembert",
        "convbert",
        "deberta",
        "deberta-v2",
        "distilbert",
        "electra",
        "ernie",
        "eurobert",
        "modernbert",
        "mpnet",
        "nomic_bert",
        "rembert",
        "roberta",
        "squeezebert",
        "xlm-roberta",
    }
)


class Wanted(Message):
    """Which model, from where."""

    repo: str
    revision: str | None
    endpoint: str
    cache_dir: Path
    timeout: float
    """Seconds to wait for the hub to name the files; the download itself takes as long as it moves."""
    offline: bool
    """True: only what is in the cache."""


class Found(Message):
    """Where the model is, or why it is not."""

    folder: Path | None = None
    revision: str | None = None
    error: dict[str, JsonValue] | None = None


def check_names(name: str, files: Collection[str]) -> None:
    """Refuse a model without safe weights or a tokenizer file. Raises JobFailure."""
    if CONFIG not in files:
        raise _incomplete(name, CONFIG)
    if not any(file.endswith(".safetensors") and "/" not in file for file in files):
        raise JobFailure(
            detail=f"{name} has no weights in the safetensors format; pickled weights can run code.",
            code="no-safetensors",
            remedy="Choose a base model with a model.safetensors file, or convert this one and configure its folder.",
            kind="user",
        )
    if not any(file in files for file in TOKENIZERS):
        raise _incomplete(name, TOKENIZERS[0])


def check_config(name: str, config: Path) -> None:
    """Refuse a model that only its own Python code could load. Raises JobFailure ``needs-custom-code``."""
    try:
        settings = json.loads(config.read_bytes())
        kind, own_code = settings.get("model_type"), "auto_map" in settings
    except (ValueError, AttributeError) as error:
        raise _incomplete(name, f"readable {CONFIG}") from error
    if own_code and kind not in BUILT_IN:
        raise JobFailure(
            detail=f"{name} can only be loaded by running Python code from its repository, which is never done.",
            code="needs-custom-code",
            remedy="Choose a base model of a built-in architecture, such as distilbert-base-uncased or roberta-base.",
            kind="user",
        )


def check_folder(name: str, folder: Path) -> None:
    """Refuse a folder that is no usable base model. Raises JobFailure."""
    check_names(name, [path.name for path in folder.iterdir() if path.is_file()])
    check_config(name, folder / CONFIG)


def _incomplete(name: str, file: str) -> JobFailure:
    return JobFailure(
        detail=f"The base model {name} has no {file}.",
        code="incomplete-base-model",
        remedy="Save it again with save_pretrained of a current transformers, its fast tokenizer too.",
        kind="user",
    )
