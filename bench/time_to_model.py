"""How long it takes from POST /jobs to the first answer of the new version, and where that time goes.

    python -m bench.time_to_model FOLDER
    python -m bench.time_to_model FOLDER --quick

FOLDER holds train.jsonl, validation.jsonl and test.jsonl, each of ``text`` and ``label``. A service is started as users
start it and asked over HTTP alone, once cold (its worker keeps no interpreter on hand) and once warm; the parts are
those of ``usage.breakdown``, and ``load`` is what passes from the end of the job to the first answer. Beside it stands
a script that trains the same model on as many rows with Trainer, padded to the longest of a batch, exports it with
torch.onnx, loads the file and answers one text; its parts have other names where they are other things. The last line
is one JSON object.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.plain_training import TEXT
from bench.task import threads_of
from bench.trial import Rows, read_rows, upload
from scripts.own_service import own_service
from worker.base_models import packaged

WAYS = ("cold", "warm", "script")
MAX_LENGTH = 128
WARMING_SECONDS = 30.0
"""How long a fresh service is left alone until its interpreter on hand has imported what it needs."""


def main() -> None:
    """Measure, print a table, and one line of JSON."""
    options = parse()
    threads = threads_of(options.threads)
    wanted = {"train": options.rows, "validation": options.validation_rows, "test": options.test_rows}
    rows = read_rows(options.folder, wanted, seed=7)  # type: ignore[arg-type]
    found = {}
    for way in options.ways:
        parts = theirs(options, threads) if way == "script" else ours(way, rows, options, threads)
        told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts.items())
        print(f"{way:7} {sum(parts.values()):7.1f} s  {told}", flush=True)
        found[way] = parts
    print(json.dumps(summary(found) | {"rows": options.rows, "epochs": options.epochs, "threads": threads}))


def summary(found: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Give the whole of each way, and what a job adds to its training."""
    totals = {way: round(sum(parts.values()), 3) for way, parts in found.items()}
    added = {way: round(totals[way] / parts["train"] - 1, 3) for way, parts in found.items()}
    ratio = round(totals["script"] / totals["warm"], 3) if {"script", "warm"} <= totals.keys() else None
    return {"seconds": totals, "added_to_training": added, "script_to_warm": ratio, "parts": found}


def ours(way: str, rows: Rows, options: argparse.Namespace, threads: int) -> dict[str, float]:
    """Train through a service of its own; give the seconds of each part."""
    settings = {"TUNESMITH_WARM_SPARE": str(way == "warm").lower(), "TUNESMITH_WORKER_THREADS": str(threads)}
    with own_service(settings) as service:
        dataset = upload(service, rows, "rows")
        if way == "warm":
            time.sleep(WARMING_SECONDS)
        wishes = {
            "num_train_epochs": options.epochs,
            "batch_size": 32,
            "learning_rate": 3e-4,
            "max_length": MAX_LENGTH,
        }
        began = time.monotonic()
        job = service.train("bench", dataset, base_model="minilm-l6", hyperparameters=wishes)
        for _ in service.events(job.id):
            pass
        job = service.job(job.id)
        if job.status != "succeeded" or job.result is None:
            raise SystemExit(f"the job {job.status}: {job.error}")
        service.predict(f"bench:{job.result.version}", TEXT)
        whole = time.monotonic() - began
    parts = job.usage.parts
    return parts | {"load": round(max(0.0, whole - sum(parts.values())), 3)}


def theirs(options: argparse.Namespace, threads: int) -> dict[str, float]:
    """Run the script; give the seconds of each part, ``start`` being what passed before its first line."""
    base, _ = packaged("minilm-l6")
    command = [sys.executable, "-m", "bench.plain_training", str(options.folder), "--base", str(base)]
    command += ["--rows", str(options.rows), "--test-rows", str(options.test_rows), "--epochs", str(options.epochs)]
    command += ["--max-length", str(MAX_LENGTH), "--threads", str(threads)]
    began = time.monotonic()
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    whole = time.monotonic() - began
    parts: dict[str, float] = json.loads(answer.stdout.strip().split("\n")[-1])
    return {"start": round(whole - sum(parts.values()), 3)} | parts


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=2000, help="training rows")
    parser.add_argument("--validation-rows", type=int, default=500)
    parser.add_argument("--test-rows", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: as many as a job would take")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--quick", action="store_true", help="480 rows: a direction, not a figure to quote")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.validation_rows, options.test_rows = 480, 200, 200
    return options


if __name__ == "__main__":
    main()
