"""Fine-tune the same model on the same rows with Hugging Face's Trainer and with Tunesmith's loop, and compare.

    python -m bench.train FOLDER
    python -m bench.train FOLDER --quick

FOLDER holds train.jsonl and validation.jsonl, each of ``text`` and ``label``. Every run is a process of its own, and
the variants take turns seed by seed; all have the same rows, weights, head, epochs, texts a step, optimizer, schedule
and threads. Timed is training alone, from the first batch to the last step; validation is judged after it, alike for
all. Trainer runs as its documentation has it (padded to the model's limit; on a few rows, since it is so slow), as most
people run it (padded to the longest of a batch), and at its best (batches of like length, bf16 where a job would take
it). Tunesmith's own loop runs with what a job resolves to on this machine; ``--variants`` adds it with one measure left
out or added. The scores of the common use and of Tunesmith are compared, so these two run with every seed; with
``--speed-seeds`` the others take fewer turns. The last line is one JSON object; ``by_cpu_seconds`` has the ratios again
by what the processor spent, for a machine that is not quiet. With ``--f1`` the score is looked at five times an epoch,
and the seconds of training until it is reached are told; looking is not counted.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.task import Task, fast_precision, threads_of
from bench.trainers import figures_of

VARIANTS = {
    "trainer-padded-512": "Trainer, padded to 512",
    "trainer-common": "Trainer, padded to the longest",
    "trainer-best": "Trainer, like lengths, bf16 if fast",
    "tunesmith": "Tunesmith",
    "tunesmith-fp32": "Tunesmith in fp32",
    "tunesmith-padded": "Tunesmith with padding",
    "tunesmith-shuffled": "Tunesmith with padding, any lengths",
    "tunesmith-all-tokens": "Tunesmith, all tokens to the top",
    "tunesmith-whole-table": "Tunesmith, all word embeddings",
    "tunesmith-probe": "Tunesmith, head from a probe",
}
USUAL = ("trainer-padded-512", "trainer-common", "trainer-best", "tunesmith")
COMMON, BEST, OURS = "trainer-common", "trainer-best", "tunesmith"


@dataclass(frozen=True)
class Run:
    """One variant with one seed."""

    variant: str
    seed: int
    samples_per_second: float
    seconds: float
    cpu_seconds: float
    """Of all threads: what hardly depends on what else the machine does."""
    f1_macro: float | None
    """Of the validation rows; None where only the speed was measured."""
    seconds_to_f1: float | None = None
    """Of training, until the score of ``--f1`` was reached; None: it was not, or none was asked for."""


def main() -> None:
    """Measure, print a table, and one line of JSON."""
    options = parse()
    threads = threads_of(options.threads)
    runs = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for variant in options.variants:
            if seed - options.first_seed >= turns(variant, options):
                continue
            runs.append(measure(options, variant, seed, threads))
            print(f"  {VARIANTS[variant]:36} seed {seed}  {told(runs[-1])}", flush=True)
    print(table(runs, options.variants))
    print(json.dumps(summary(runs, options, threads)))


def turns(variant: str, options: argparse.Namespace) -> int:
    """Say with how many seeds a variant runs: those whose scores are compared, with all."""
    if variant == USUAL[0]:
        return 1  # which takes as long as all others together
    return int(options.seeds if variant in (COMMON, OURS) else options.speed_seeds or options.seeds)


def measure(options: argparse.Namespace, variant: str, seed: int, threads: int) -> Run:
    """Train once, in a process of its own."""
    slow = variant == USUAL[0]
    task = Task(
        folder=options.folder,
        base=options.base,
        variant=variant,
        seed=seed,
        rows=min(options.padded_rows, options.rows) if slow else options.rows,
        validation_rows=0 if slow else options.validation_rows,
        epochs=1 if slow else options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        max_length=options.max_length,
        threads=threads,
        f1=options.f1,
    )
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        figures = pool.submit(figures_of, task).result()
    return Run(
        variant,
        seed,
        figures.texts / figures.seconds,
        figures.seconds,
        figures.cpu_seconds,
        figures.f1_macro,
        figures.seconds_to_f1,
    )


def told(run: Run) -> str:
    """Say in one line what came out."""
    score = "" if run.f1_macro is None else f"  macro F1 {run.f1_macro:.4f}"
    score += "" if run.seconds_to_f1 is None else f", reached after {run.seconds_to_f1:.1f} s"
    return f"{run.samples_per_second:8.1f} samples/s  {run.seconds:8.1f} s{score}"


def of(runs: Sequence[Run], variant: str, value: Callable[[Run], float | None]) -> float | None:
    """Give the median over the seeds."""
    found = [number for run in runs if run.variant == variant and (number := value(run)) is not None]
    return statistics.median(found) if found else None


def mean_f1(runs: Sequence[Run], variant: str) -> float | None:
    """Give the mean macro F1 over the seeds."""
    found = [run.f1_macro for run in runs if run.variant == variant and run.f1_macro is not None]
    return statistics.mean(found) if found else None


def table(runs: Sequence[Run], variants: Sequence[str]) -> str:
    """Lay the variants out as Markdown."""
    lines = ["| variant | samples/s | wall s | CPU s | macro F1 |", "|---|---|---|---|---|"]
    for variant in variants:
        speed, seconds, spent = (
            of(runs, variant, lambda run: run.samples_per_second),
            of(runs, variant, lambda run: run.seconds),
            of(runs, variant, lambda run: run.cpu_seconds),
        )
        score = mean_f1(runs, variant)
        told = "" if score is None else f"{score:.4f}"
        lines.append(f"| {VARIANTS[variant]} | {speed:.1f} | {seconds:.1f} | {spent:.1f} | {told} |")
    return "\n".join(lines)


def summary(runs: Sequence[Run], options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """Give the ratios and what they are made of; null where a variant was not run."""

    def ratio(variant: str, speed: Callable[[Run], float] = lambda run: run.samples_per_second) -> float | None:
        ours, theirs = of(runs, OURS, speed), of(runs, variant, speed)
        return None if ours is None or theirs is None else round(ours / theirs, 3)

    def per_cpu_second(run: Run) -> float:
        return run.samples_per_second * run.seconds / run.cpu_seconds

    own, theirs = mean_f1(runs, OURS), mean_f1(runs, COMMON)
    return {
        "ratio_to_trainer_common": ratio(COMMON),
        "ratio_to_trainer_best": ratio(BEST),
        "ratio_to_trainer_padded_512": ratio(USUAL[0]),
        "by_cpu_seconds": {variant: ratio(variant, per_cpu_second) for variant in options.variants if variant != OURS},
        "f1_difference": None if own is None or theirs is None else round(own - theirs, 4),
        "f1_macro": {variant: mean_f1(runs, variant) for variant in options.variants},
        "seconds_to_f1": {variant: of(runs, variant, lambda run: run.seconds_to_f1) for variant in options.variants},
        "samples_per_second": {
            variant: of(runs, variant, lambda run: run.samples_per_second) for variant in options.variants
        },
        "precision": fast_precision(),
        "threads": threads,
        "rows": options.rows,
        "epochs": options.epochs,
        "runs": [asdict(run) for run in runs],
    }


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", type=Path, help="folder of the base model; default: the packaged MiniLM")
    parser.add_argument("--rows", type=int, default=2000, help="training rows; 0: all")
    parser.add_argument("--validation-rows", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--f1", type=float, help="tell the seconds of training until validation macro F1 reaches this")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--speed-seeds", type=int, help="of the variants whose scores are not compared; default: all")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--max-length", type=int, default=512, help="tokens after which a text is cut")
    parser.add_argument("--padded-rows", type=int, default=64, help="training rows of the variant padded to 512")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: as many as a job would take")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=USUAL)
    parser.add_argument("--quick", action="store_true", help="one seed on 480 rows: a direction, not a figure to quote")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.validation_rows, options.seeds, options.padded_rows = 480, 200, 1, 32
    return options


if __name__ == "__main__":
    main()
