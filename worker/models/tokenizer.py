"""The tokenizer of a base model as one ``tokenizer.json``."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from app.errors import JobFailure

TOKENIZER = "tokenizer.json"


def tokenizer_file(folder: Path, *, scratch: Path) -> Path:
    """Give the base model's tokenizer.json; one that has only the older files is converted into ``scratch``.

    Raises JobFailure ``unsupported-tokenizer`` when no fast tokenizer can be made of them.
    """
    ready = folder / TOKENIZER
    if ready.is_file():
        return ready
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_fast=True)
        fast = tokenizer.backend_tokenizer
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
        raise _unsupported() from error
    # Without any vocabulary file transformers makes a tokenizer of special tokens alone, and says nothing.
    if fast.get_vocab_size() <= len(tokenizer.all_special_tokens):
        raise _unsupported()
    fast.save(str(scratch / TOKENIZER))
    return scratch / TOKENIZER


def _unsupported() -> JobFailure:
    return JobFailure(
        detail="The base model has no tokenizer.json, and none can be made of its other tokenizer files.",
        code="unsupported-tokenizer",
        remedy="Save the tokenizer with transformers (AutoTokenizer, save_pretrained) and add its tokenizer.json.",
    )


def vocabulary_size(tokenizer: Path) -> int:
    """Count the ids a tokenizer may give: one more than the largest."""
    return max(Tokenizer.from_file(str(tokenizer)).get_vocab(with_added_tokens=True).values()) + 1


def pad_token_id(config: Any, tokenizer: Path) -> int:
    """Give the id that fills up short texts: the config's, since positions may be counted from it, or the tokenizer's.

    Raises JobFailure ``no-padding-token``.
    """
    if config.pad_token_id is not None:
        return int(config.pad_token_id)
    content = json.loads(tokenizer.read_bytes())
    for token in content.get("added_tokens", []):
        if token.get("content") in ("[PAD]", "<pad>"):
            return int(token["id"])
    raise JobFailure(
        detail="The base model names no padding token.",
        code="no-padding-token",
        remedy="Set pad_token_id in its config.json.",
    )
