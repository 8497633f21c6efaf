"""Train a task alone and together with a further one, and compare on its test rows.

    python -m bench.multitask MAIN FURTHER --rows 300 --further-rows 600 --seeds 2

Each folder holds train.jsonl, validation.jsonl and test.jsonl with ``text`` and ``label``; a service runs beside it
(``python -m app up``). Each seed draws other training rows. Together, training is as long in texts as alone, unless
``--together-epochs`` says otherwise. The last line is one JSON object.
"""

import argparse
import json
import random
import statistics
import tempfile
from pathlib import Path
from typing import Any

from app.client import Tunesmith
from app.schemas.datasets import Dataset
from app.schemas.jobs import Job

HELD_OUT = {"validation": 300, "test": 1000}


def main() -> None:
    options = parse()
    results = []
    with Tunesmith() as service:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            own = upload(service, options.main, options.rows, seed)
            further = upload(service, options.further, options.further_rows, seed)
            results.append(compare(service, options, own, further, seed))
    means = {name: statistics.mean(each[name] for each in results) for name in results[0]}
    print(json.dumps({"seeds": results, "mean": means}))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("main", type=Path)
    parser.add_argument("further", type=Path)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--further-rows", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=9, help="of the run on the main task alone")
    parser.add_argument("--together-epochs", type=int, help="of the other run; default: for equal numbers of texts")
    parser.add_argument(
        "--loss-weight", type=float, default=0.3, help="of the further task; the rest is the main one's"
    )
    parser.add_argument("--base-model", default="minilm-l6")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    return parser.parse_args()


def upload(service: Tunesmith, folder: Path, train_rows: int, seed: int) -> Dataset:
    """Upload a part of a folder's rows; the held-out ones are the same for every seed."""
    rows = []
    for split, wanted in {"train": train_rows, **HELD_OUT}.items():
        lines = (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        chosen = random.Random(seed if split == "train" else 0).sample(lines, min(wanted, len(lines)))
        rows += [json.loads(line) | {"split": split} for line in chosen]
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "rows.jsonl"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        return service.upload_dataset(file, name=f"{folder.name}, seed {seed}")


def compare(
    service: Tunesmith, options: argparse.Namespace, own: Dataset, further: Dataset, seed: int
) -> dict[str, float]:
    """Train both ways and give the scores on the test rows."""
    both = own.counts["train"] + further.counts["train"]
    epochs = options.together_epochs or max(1, round(options.epochs * own.counts["train"] / both))
    family = {
        "type": "multitask",
        "name": "own",
        "loss_weight": 1 - options.loss_weight,
        "tasks": {"further": {"dataset_id": further.id, "loss_weight": options.loss_weight}},
    }
    alone = train(service, options, own, seed, options.epochs)
    together = train(service, options, own, seed, epochs, family=family)
    scores: dict[str, float] = {}
    for name, job in (("alone", alone), ("together", together)):
        test = job.metrics.test
        assert test is not None
        scores |= {f"{name}_f1_macro": test.f1_macro, f"{name}_accuracy": test.accuracy}
        scores[f"{name}_train_seconds"] = job.usage.train_seconds or 0.0
        scores |= {f"{name}_{task}_f1_macro": judged.f1_macro for task, judged in test.tasks.items()}
    print(f"seed {seed}: {json.dumps(scores)}", flush=True)
    return scores


def train(service: Tunesmith, options: argparse.Namespace, own: Dataset, seed: int, epochs: int, **fields: Any) -> Job:
    """Train to the end; every epoch is judged and the best one kept."""
    wishes = {"num_train_epochs": epochs, "early_stopping_patience": None, "batch_size": 16, "seed": seed}
    job = service.train("bench", own, base_model=options.base_model, hyperparameters=wishes, **fields)
    for _ in service.events(job.id):
        continue
    job = service.job(job.id)
    if job.status != "succeeded":
        raise SystemExit(f"the job {job.status}: {job.error}")
    return job


if __name__ == "__main__":
    main()
