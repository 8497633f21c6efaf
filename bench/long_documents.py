"""Documents whose evidence lies behind what a base model reads: read in chunks, cut, and cut in the middle, in one run.

    python -m bench.long_documents FILLER EVIDENCE

FILLER is a JSON Lines file with long texts under ``text`` (their labels are not read), EVIDENCE one with short labelled
texts (``text``, ``label``) about something else. Each document is the beginning of some filler, as many tokens as are
read at once (--window) or a few more, then one piece of evidence, then up to as much other filler; its label is that of
the evidence. No filler and no evidence is used twice. Whoever reads the beginning can only guess; whoever reads both
ends sees the evidence where little comes after it.

The base model is MiniLM as it ships with the worker, the same layers of it learn in every way. Every version is scored
by the server's predictor, from its bundle. The last line is one JSON object.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from app.artifacts.bundle import TOKENIZER, Bundle, sha256_of
from app.schemas.jobs import BaseModelRef, DatasetRef, TrainJobRequest
from app.serving.predictor import Predictor
from worker.base_models import packaged
from worker.evaluation.metrics import confusion_matrix, score
from worker.events import AttemptSpec, Evaluated, Event
from worker.pipeline import run

SPLITS = ("train", "validation", "test")
WAYS = ("hierarchical", "truncate", "head_tail")


def main() -> None:
    options = parse()
    with tempfile.TemporaryDirectory() as scratch:
        base, _ = packaged("minilm-l6")
        rows = documents(options, Tokenizer.from_file(str(base / TOKENIZER)))
        file = Path(scratch) / "rows.jsonl"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        labels = sorted({row["label"] for row in rows})
        tell_lengths(rows, base)
        found = {}
        for way in options.ways:
            spec = spec_of(way, options, file, labels, base, Path(scratch) / way)
            found[way] = train_and_score(spec, [row for row in rows if row["split"] == "test"], labels)
            told = "  ".join(f"{name} {value:.3f}" for name, value in found[way].items())
            print(f"{way:13} {told}", flush=True)
    print(json.dumps({"labels": len(labels), "chance": round(1 / len(labels), 3)} | found))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("filler", type=Path)
    parser.add_argument("evidence", type=Path)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--window", type=int, default=128, help="tokens before the evidence, and that are read at once")
    parser.add_argument("--chunk", type=int, default=64, help="tokens of a chunk")
    parser.add_argument("--rows", type=int, nargs=3, default=(120, 32, 92), metavar=("TRAIN", "VALIDATION", "TEST"))
    parser.add_argument("--learning-layers", type=int, default=3, help="of MiniLM's six, from the top")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


def documents(options: argparse.Namespace, tokenizer: Tokenizer) -> list[dict[str, str]]:
    """Build every split, each label as often as any other."""
    source = random.Random(options.seed)
    tokenizer.no_truncation(), tokenizer.no_padding()
    filler = [row["text"] for row in read(options.filler)]
    filler = [text for text in filler if len(tokenizer.encode(text).ids) > options.window + 60]
    source.shuffle(filler)
    by_label: dict[str, list[str]] = {}
    for row in read(options.evidence):
        by_label.setdefault(row["label"], []).append(row["text"])
    for texts in by_label.values():
        source.shuffle(texts)
    total = sum(options.rows)
    if 2 * total > len(filler) or any(len(texts) < total // len(by_label) + 1 for texts in by_label.values()):
        raise SystemExit(f"{total} documents need twice as many long fillers (there are {len(filler)}), and evidence")
    rows = []
    for split, count in zip(SPLITS, options.rows, strict=True):
        for index in range(count):
            label = sorted(by_label)[index % len(by_label)]
            before = beginning(filler.pop(), tokenizer, source.randint(options.window, options.window + 50))
            behind = beginning(filler.pop(), tokenizer, source.randint(0, options.window - 12))
            rows.append({"text": f"{before} {by_label[label].pop()} {behind}", "label": label, "split": split})
    return rows


def beginning(text: str, tokenizer: Tokenizer, tokens: int) -> str:
    """Give the first words of a text, as many as make at least so many tokens."""
    ends = [end for _, end in tokenizer.encode(text, add_special_tokens=False).offsets]
    if not tokens or not ends:
        return ""
    end = ends[min(tokens, len(ends)) - 1]
    return text[: text.find(" ", end) if " " in text[end:] else len(text)]


def tell_lengths(rows: Sequence[dict[str, str]], base: Path) -> None:
    tokenizer = Tokenizer.from_file(str(base / TOKENIZER))
    tokenizer.no_truncation(), tokenizer.no_padding()
    lengths = sorted(len(encoding.ids) for encoding in tokenizer.encode_batch([row["text"] for row in rows]))
    print(f"{len(rows)} documents of {lengths[0]} to {lengths[-1]} tokens, {lengths[len(lengths) // 2]} in the middle")


def spec_of(
    way: str, options: argparse.Namespace, file: Path, labels: Sequence[str], base: Path, work: Path
) -> AttemptSpec:
    work.mkdir()
    wishes: dict[str, Any] = {
        "num_train_epochs": options.epochs,
        "batch_size": options.batch_size,
        "unfreeze_schedule": {"0": options.learning_layers},
        "learning_rate": options.learning_rate,
        "early_stopping_patience": None,
        "seed": options.seed,
    }
    body: dict[str, Any] = {"model": "bench", "dataset_id": "ds_bench", "hyperparameters": wishes}
    if way == "hierarchical":
        body["family"] = {"type": way, "chunk_length": options.chunk}
    else:
        wishes |= {"long_text": way, "max_length": options.window}
    return AttemptSpec(
        job_id="job_bench",
        attempt=1,
        model_name="bench",
        work_dir=work,
        dataset_file=file,
        dataset=DatasetRef(id="ds_bench", sha256=sha256_of(file), counts={}),
        labels=list(labels),
        problem_type="single_label",
        base_model=BaseModelRef(id="minilm-l6", source="package"),
        base_model_dir=base,
        request=TrainJobRequest.model_validate(body),
        threads=options.threads,
        bundle_dir=work / "bundle",
    )


def train_and_score(spec: AttemptSpec, rows: Sequence[dict[str, str]], labels: Sequence[str]) -> dict[str, float]:
    """Train, then ask the server's predictor about every row."""
    started = time.monotonic()

    def hear(event: Event) -> None:
        if isinstance(event, Evaluated):
            seconds = time.monotonic() - started
            found = event.evaluation
            print(f"  {seconds:6.1f} s  {found.split} accuracy {found.accuracy:.3f}  loss {found.loss:.3f}", flush=True)

    run(spec, hear, lambda: False)
    trained = time.monotonic() - started
    predictor = Predictor.load(Bundle.open(spec.bundle_dir), threads=spec.threads)
    started = time.monotonic()
    answers = [predictor.predict([row["text"]])[0] for row in rows]
    index = {label: place for place, label in enumerate(labels)}
    truth = np.array([index[row["label"]] for row in rows])
    given = np.array([index[answer.label] for answer in answers])
    evaluation = score(confusion_matrix(truth, given, len(labels)), labels, split="test", loss=0.0)
    return {
        "accuracy": round(evaluation.accuracy, 4),
        "f1_macro": round(evaluation.f1_macro, 4),
        "truncated": round(sum(answer.truncated for answer in answers) / len(answers), 4),
        "job_seconds": round(trained, 1),
        "predict_seconds": round(time.monotonic() - started, 1),
    }


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
