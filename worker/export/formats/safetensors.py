"""The weights as transformers keeps them, with the tokenizer beside them: one folder for from_pretrained."""

import json
import shutil

from tokenizers import Tokenizer

from app.artifacts.bundle import TOKENIZER, WEIGHTS
from worker.export.format import Format
from worker.export.source import Answer, Source, as_called, torch_answer

SETTINGS = f"{WEIGHTS}/tokenizer_config.json"
_SPECIAL = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
_SPECIAL_OF_ROBERTA = {"unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}


def write(source: Source) -> None:
    """Put the tokenizer and its settings beside the weights, which every bundle has."""
    shutil.copyfile(source.folder / TOKENIZER, source.folder / WEIGHTS / TOKENIZER)
    tokenizer = Tokenizer.from_file(str(source.folder / TOKENIZER))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": source.draft.tokenizer.max_length,
        "pad_token": tokenizer.id_to_token(source.draft.tokenizer.pad_token_id),
        **_special_tokens(tokenizer),
    }
    (source.folder / SETTINGS).write_text(json.dumps(settings, indent=2, ensure_ascii=False), encoding="utf-8")


def load(source: Source) -> Answer:
    """Load the folder as a checkpoint."""
    return torch_answer(as_called(source.reload(source.folder / WEIGHTS), in_chunks=source.in_chunks))


def _special_tokens(tokenizer: Tokenizer) -> dict[str, str]:
    """Name the special tokens that the tokenizer really has, in either of the two usual spellings."""
    for names in (_SPECIAL, _SPECIAL_OF_ROBERTA):
        known = {role: token for role, token in names.items() if tokenizer.token_to_id(token) is not None}
        if "unk_token" in known:
            return known
    return {}


FORMAT = Format(
    "safetensors",
    (f"{WEIGHTS}/model.safetensors", f"{WEIGHTS}/config.json", f"{WEIGHTS}/{TOKENIZER}", SETTINGS),
    write,
    load,
)
