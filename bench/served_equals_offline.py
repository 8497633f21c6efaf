"""Train on real labelled files through the HTTP API, then ask the served version about every test row.

    python -m bench.served_equals_offline DATA --train-rows 2000 --base-model minilm-l6

DATA holds train.jsonl, validation.jsonl and test.jsonl with ``text`` and ``label``. The score of the answers of
POST /predict must be the score that the job measured offline on the same rows; the last line is one JSON object.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from app.client import Tunesmith
from bench.trial import Trial, read_rows, run


def main() -> None:
    options = parse()
    wanted = {"train": options.train_rows, "validation": options.validation_rows, "test": options.test_rows}
    rows = read_rows(options.data, wanted, options.seed)
    with Tunesmith() as service:
        trial = run(
            service,
            options.model,
            rows,
            name=options.data.name,
            say=lambda line: print(line, flush=True),
            base_model=options.base_model,
            hyperparameters=json.loads(options.hyperparameters),
        )
    report(trial)


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


def report(trial: Trial) -> None:
    """Print both scores and whether they are one."""
    job, asked = trial.job, len(trial.answers) / trial.asked_seconds
    print(f"job {job.id}: {trial.seconds:.1f} s from POST to success, phases {job.usage.phases}")
    print(f"offline  {trial.offline}  ({len(trial.answers)} rows)")
    print(f"served   {trial.served}  ({asked:.0f} texts/s, one client)")
    same = trial.served.same_as(trial.offline)
    print(
        json.dumps(
            {
                "seconds": round(trial.seconds, 1),
                "train_seconds": job.usage.train_seconds,
                "offline": asdict(trial.offline),
                "served": asdict(trial.served),
                "equal": same,
            }
        )
    )
    if not same:
        raise SystemExit("the served version does not score as the offline evaluation did")


if __name__ == "__main__":
    main()
