"""Train every profile on real labelled rows through a whole service, scaled down to a small machine.

    python -m bench.profiles --data DIR
    python -m bench.profiles --data DIR --only twitter-bert --out figures.json

DIR holds one folder for each dataset that CASES names, with train.jsonl, validation.jsonl and test.jsonl, each of
``text`` and ``label``. What is printed is Markdown: rows, epochs, seconds and scores of each profile beside those of
always answering the commonest label, the learning curve, and a few rows as the served version answers them. A run
fails when POST /predict does not score on the test rows exactly as the job did.

The service is started for the run; ``--url`` takes a running one. There, a case with an encoder of its own needs a
service that was started with TUNESMITH_BASE_MODELS naming its folder, which ``--encoders FOLDER`` writes.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.client import Tunesmith
from app.schemas.profiles import ProfileName
from bench.encoders import save_encoder
from bench.trial import SPLITS, Rows, Scores, Trial, read_rows, run
from scripts.own_service import own_service

SHOWN = 3
SEED = 42


@dataclass(frozen=True)
class Case:
    """One profile with the data that suits it, and what scales it down."""

    profile: ProfileName
    data: str
    train_rows: int
    hyperparameters: Mapping[str, Any]
    """What wins over the profile."""
    validation_rows: int = 250
    test_rows: int = 300
    base_model: str = "minilm-l6"
    """In the place of the profile's, which has five times the parameters or more."""

    @property
    def builds_encoder(self) -> bool:
        """Say whether its base model is made here, of its own training rows."""
        return self.base_model.startswith("bench-")


AUTO = {"learning_rate": "auto"}
"""The profiles' 2e-5 is for encoders of base size; one as small as these hardly learns at it."""
CASES = (
    Case("rt-sentiment", "amazon-snippets", 1000, AUTO | {"num_train_epochs": 2}),
    Case("twitter-bert", "tweet-sentiment-multilingual-english", 1000, AUTO | {"num_train_epochs": 2}),
    # No registry has a small encoder that reads Devanagari: this one starts from nothing.
    Case("nepali-mbert", "nepali-quake", 0, AUTO, base_model="bench-devanagari"),
    # Reviews of 800 tokens are four chunks of work for each row.
    Case(
        "hierarchical-roberta",
        "movie-reviews-long",
        160,
        AUTO | {"num_train_epochs": 3},
        validation_rows=40,
        test_rows=100,
    ),
    Case("research", "sst2", 1000, AUTO | {"num_train_epochs": 2}),
    Case("research", "sms-spam", 1000, AUTO | {"num_train_epochs": 2, "class_weights": "balanced"}),
)


def main() -> None:
    options = parse()
    cases = [case for case in CASES if options.only in (None, case.profile)]
    with tempfile.TemporaryDirectory() as temporary:
        encoders = write_encoders(cases, options.data, options.encoders or Path(temporary))
        with service_of(options.url, encoders) as service:
            results = [measure(service, case, options.data) for case in cases]
    if options.out:
        options.out.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the datasets")
    parser.add_argument("--only", choices=sorted({case.profile for case in CASES}), help="one profile")
    parser.add_argument("--url", help="a running service; none: one is started")
    parser.add_argument("--encoders", type=Path, help="folder for the encoders that are made; none: a temporary one")
    parser.add_argument("--out", type=Path, help="file for all figures as JSON")
    return parser.parse_args()


def write_encoders(cases: Sequence[Case], data: Path, folder: Path) -> dict[str, str]:
    """Make the encoders that the cases start from; gives their folders by name."""
    made = {}
    for case in cases:
        if case.builds_encoder:
            texts = [row["text"] for row in rows_of(case, data)["train"]]
            made[case.base_model] = str(save_encoder(texts, folder / case.base_model))
    return made


@contextmanager
def service_of(url: str | None, encoders: Mapping[str, str]) -> Iterator[Tunesmith]:
    """Give the client of a running service, or of one that lives as long as this."""
    if url is None:
        with own_service({"TUNESMITH_BASE_MODELS": json.dumps(encoders)}) as service:
            yield service
    else:
        with Tunesmith(url) as service:
            yield service


def rows_of(case: Case, data: Path) -> Rows:
    """Read the rows of a case, always the same ones."""
    wanted = zip(SPLITS, (case.train_rows, case.validation_rows, case.test_rows), strict=True)
    return read_rows(data / case.data, dict(wanted), SEED)


def measure(service: Tunesmith, case: Case, data: Path) -> dict[str, Any]:
    """Run one case and print what came of it."""
    rows = rows_of(case, data)
    print(f"\n### {case.profile}: {case.data}\n", flush=True)
    trial = run(
        service,
        f"bench-{case.profile}",
        rows,
        name=case.data,
        say=lambda _: None,
        profile=case.profile,
        base_model=case.base_model,
        hyperparameters=case.hyperparameters,
    )
    commonest = Counter(row["label"] for row in rows["train"]).most_common(1)[0][0]
    baselines = {split: Scores.of([commonest] * len(rows[split]), labels_of(rows, split)) for split in SPLITS[1:]}
    tell(case, trial, rows, baselines)
    if not trial.served.same_as(trial.offline):
        raise SystemExit(f"served {trial.served}, offline {trial.offline}")
    return {
        **asdict(case),
        "rows": {split: len(rows[split]) for split in SPLITS},
        "seconds": round(trial.seconds, 1),
        "phases": trial.job.usage.phases,
        "curve": trial.curve,
        "offline": asdict(trial.offline),
        "served": asdict(trial.served),
        "baselines": {split: asdict(scores) for split, scores in baselines.items()},
        "resolutions": [each.model_dump() for each in trial.job.resolutions],
        "warnings": [each.detail for each in trial.job.warnings],
    }


def labels_of(rows: Rows, split: Any) -> list[str]:
    """Give the true labels of a split."""
    return [row["label"] for row in rows[split]]


def tell(case: Case, trial: Trial, rows: Rows, baselines: Mapping[Any, Scores]) -> None:
    """Print one case as Markdown."""
    job, validation = trial.job, trial.job.metrics.validation
    assert validation is not None
    counts = " / ".join(str(len(rows[split])) for split in SPLITS)
    phases = ", ".join(f"{name} {seconds:.0f}" for name, seconds in job.usage.phases.items())
    print(f"{counts} rows, {case.base_model}, {trial.curve[-1]['epoch']:g} epochs ({trial.curve[-1]['step']} steps),")
    print(f"{trial.seconds:.0f} s from POST to success ({phases}), {job.stop_reason}.\n")
    print("| split | accuracy | macro F1 | commonest label: accuracy | macro F1 |\n|---|---:|---:|---:|---:|")
    judged = {"validation": Scores(validation.accuracy, validation.f1_macro), "test": trial.offline}
    for split, scores in judged.items():
        base = baselines[split]
        print(
            f"| {split} | {scores.accuracy:.3f} | {scores.f1_macro:.3f} | {base.accuracy:.3f} | {base.f1_macro:.3f} |"
        )
    print("\n| " + " | ".join(trial.curve[0]) + " |\n|" + "---:|" * len(trial.curve[0]))
    for point in trial.curve:
        print("| " + " | ".join(f"{value:.4g}" for value in point.values()) + " |")
    print(f"\nServed on the {len(trial.answers)} test rows: {trial.served}; offline: {trial.offline}. Of them:\n")
    for row, answer in list(zip(rows["test"], trial.answers, strict=True))[:SHOWN]:
        print(f"- {json.dumps(row['text'][:70], ensure_ascii=False)}: {answer}, truly {row['label']}")
    for warning in job.warnings:
        print(f"- warning {warning.code}: {warning.detail}")


if __name__ == "__main__":
    main()
