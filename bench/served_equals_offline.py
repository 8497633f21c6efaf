"""Train on real labelled files through the HTTP API, then ask the served version about every test row.

    python bench/served_equals_offline.py DATA --train-rows 2000 --base-model minilm-l6

DATA holds train.jsonl, validation.jsonl and test.jsonl with ``text`` and ``label``. The score of the answers of
POST /predict must be the score that the job measured offline on the same rows; the last line is one JSON object.
"""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.client import Tunesmith
from app.schemas.jobs import Job

SPLITS = ("train", "validation", "test")
BATCH = 32


def main() -> None:
    options = parse()
    rows = {name: read(options.data / f"{name}.jsonl") for name in SPLITS}
    rng = random.Random(options.seed)
    for name, wanted in zip(SPLITS, (options.train_rows, options.validation_rows, options.test_rows), strict=True):
        if wanted and wanted < len(rows[name]):
            rows[name] = rng.sample(rows[name], wanted)
    with Tunesmith() as service, tempfile.TemporaryDirectory() as folder:
        merged = Path(folder) / "rows.jsonl"
        merged.write_text("".join(f"{json.dumps(row | {'split': name})}\n" for name in SPLITS for row in rows[name]))
        dataset = service.upload_dataset(merged, name=options.data.name)
        wishes = json.loads(options.hyperparameters)
        started = time.monotonic()
        job = service.train(options.model, dataset, base_model=options.base_model, hyperparameters=wishes)
        for event in service.events(job.id):
            if event.type == "evaluated":
                print(f"  {time.monotonic() - started:6.1f} s  {json.dumps(event.data)[:160]}", flush=True)
        job = service.job(job.id)
        seconds = time.monotonic() - started
        if job.status != "succeeded" or job.result is None:
            raise SystemExit(f"the job {job.status}: {job.error}")
        asked = time.monotonic()
        answers = list(answer(service, f"{options.model}:{job.result.version}", [row["text"] for row in rows["test"]]))
        report(job, seconds, answers, [row["label"] for row in rows["test"]], time.monotonic() - asked)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="bench")
    parser.add_argument("--base-model", default="minilm-l6")
    parser.add_argument("--train-rows", type=int, default=2000)
    parser.add_argument("--validation-rows", type=int, default=500)
    parser.add_argument("--test-rows", type=int, default=2000)
    parser.add_argument(
        "--hyperparameters", default='{"num_train_epochs": 3, "eval_strategy": "steps", "eval_steps": 30}'
    )
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def answer(service: Tunesmith, model: str, texts: Sequence[str]) -> Iterator[str]:
    """Ask for the label of every text, a batch at a time."""
    for start in range(0, len(texts), BATCH):
        for prediction in service.predict(model, texts[start : start + BATCH]).predictions:
            yield prediction.label


def report(job: Job, seconds: float, answers: Sequence[str], truth: Sequence[str], asked: float) -> None:
    """Print both scores and whether they are one."""
    offline = job.metrics.test
    assert offline is not None
    accuracy = sum(a == b for a, b in zip(answers, truth, strict=True)) / len(truth)
    f1 = macro_f1(answers, truth)
    same = abs(accuracy - offline.accuracy) < 1e-12 and abs(f1 - offline.f1_macro) < 1e-9
    print(f"job {job.id}: {seconds:.1f} s from POST to success, phases {job.usage.phases}")
    print(f"offline  accuracy {offline.accuracy:.4f}  macro F1 {offline.f1_macro:.4f}  ({offline.examples} rows)")
    print(f"served   accuracy {accuracy:.4f}  macro F1 {f1:.4f}  ({len(truth) / asked:.0f} texts/s, one client)")
    print(
        json.dumps(
            {
                "seconds": round(seconds, 1),
                "train_seconds": job.usage.train_seconds,
                "offline": {"accuracy": offline.accuracy, "f1_macro": offline.f1_macro},
                "served": {"accuracy": accuracy, "f1_macro": f1},
                "equal": same,
            }
        )
    )
    if not same:
        raise SystemExit("the served version does not score as the offline evaluation did")


def macro_f1(answers: Sequence[str], truth: Sequence[str]) -> float:
    """Average the F1 of the labels that occur among the true ones."""
    hits = Counter(a for a, b in zip(answers, truth, strict=True) if a == b)
    given, true = Counter(answers), Counter(truth)
    scores = [2 * hits[label] / (given[label] + true[label]) for label in true]
    return sum(scores) / len(scores)


if __name__ == "__main__":
    main()
