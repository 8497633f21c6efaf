"""``python -m tests.faults.encoder FOLDER``: writes a tiny random BERT with its tokenizer, the base model of fields."""

import sys
from pathlib import Path

from tests.worker.tiny_models import save_base
from tests.worker.toy_task import train_tokenizer

LAYERS = 6
"""So many that moments of the layers are larger than the whole model, which `stores` needs for its full disk."""

if __name__ == "__main__":
    place = save_base("bert", Path(sys.argv[1]), layers=LAYERS)
    train_tokenizer(place / "tokenizer.json")
