"""``python -m tests.faults.encoder FOLDER``: writes a tiny random BERT with its tokenizer, the base model of fields."""

import sys
from pathlib import Path

from tests.worker.tiny_models import save_base
from tests.worker.toy_task import train_tokenizer

if __name__ == "__main__":
    place = save_base("bert", Path(sys.argv[1]))
    train_tokenizer(place / "tokenizer.json")
