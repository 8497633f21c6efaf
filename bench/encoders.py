"""Small encoders to start from where no pretrained one is at hand: nothing in them is learned but their word pieces."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from app.schemas.families import TextCNNOptions
from app.schemas.text import TextOptions
from worker.models.vocabulary import PAD_TOKEN_ID, train_tokenizer

VOCABULARY = 4000
WIDTH = 128
LONGEST = 512


def save_encoder(texts: Sequence[str], folder: Path) -> Path:
    """Write a two-layer BERT with random weights, and a tokenizer that was trained on ``texts`` and keeps capitals."""
    folder.mkdir(parents=True, exist_ok=True)
    options = TextCNNOptions(vocab_size=VOCABULARY, lowercase=False)
    tokenizer = train_tokenizer(texts, options, TextOptions(), folder / "tokenizer.json", check=lambda: None)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=LONGEST,
        pad_token_id=PAD_TOKEN_ID,
    )
    BertModel(config).save_pretrained(folder)
    return folder
