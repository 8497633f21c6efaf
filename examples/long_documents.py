"""Documents longer than a model reads at once: the profile hierarchical-roberta, which weighs their chunks.

python examples/long_documents.py [BASE_MODEL]
"""

import csv
import sys
import tempfile
from pathlib import Path

from app.client import Tunesmith

DATA = Path(__file__).parent / "data" / "customer_messages.csv"
BASE_MODEL = sys.argv[1] if len(sys.argv) > 1 else "minilm-l6"  # the profile's own is roberta-base


def documents(path: Path) -> None:
    """Write documents of six messages of one kind each."""
    with DATA.open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["label"])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for start in range(0, len(rows), 6):
            part = rows[start : start + 6]
            writer.writerow([" ".join(row["text"] for row in part), part[0]["label"]])


with Tunesmith() as ts, tempfile.TemporaryDirectory() as folder:
    documents(Path(folder, "documents.csv"))
    job = ts.train(
        "documents",
        Path(folder, "documents.csv"),
        profile="hierarchical-roberta",
        base_model=BASE_MODEL,
        family={"type": "hierarchical", "max_chunks": 6, "chunk_length": 32},
        # So few documents want more steps, and larger ones, than the profile takes.
        hyperparameters={"num_train_epochs": 2, "gradient_accumulation_steps": 1, "learning_rate": "auto"},
    )
    job.wait()
    if job.result is None:
        sys.exit(f"{job.id} {job.status}: {job.status_reason}")
    print(ts.report(job.id, "markdown").partition("\n## Scores")[0])  # the whole has every score and curve
