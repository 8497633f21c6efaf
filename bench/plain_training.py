"""A script as people write it: Trainer, torch.onnx, onnxruntime, one answer. Started by ``bench.time_to_model``."""

import argparse
import itertools
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

DRAWN = 7
TEXT = "What a lovely team!"


def main() -> None:
    """Train, judge, export, load, answer; print the seconds of each as one line of JSON."""
    began = time.perf_counter()
    options = parse()
    marks = {"start": began}

    import numpy as np
    import onnxruntime
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    marks["imports"] = time.perf_counter()
    torch.set_num_threads(options.threads)
    train, test = (_rows(options.folder, name, count) for name, count in _splits(options))
    labels = sorted({row["label"] for row in train})
    tokenizer = AutoTokenizer.from_pretrained(options.base)
    model = AutoModelForSequenceClassification.from_pretrained(options.base, num_labels=len(labels))

    def encoded(rows: list[dict[str, str]]) -> list[dict[str, Any]]:
        inputs = tokenizer([row["text"] for row in rows], truncation=True, max_length=options.max_length)
        return [
            {"input_ids": ids, "attention_mask": mask, "labels": labels.index(row["label"])}
            for ids, mask, row in zip(inputs["input_ids"], inputs["attention_mask"], rows, strict=True)
        ]

    lessons, held_out = encoded(train), encoded(test)
    marks["prepare"] = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            use_cpu=True,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=64,
            num_train_epochs=options.epochs,
            learning_rate=3e-4,
            warmup_steps=len(lessons) * options.epochs // 320,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=model, args=arguments, train_dataset=lessons, data_collator=DataCollatorWithPadding(tokenizer)
        )
        trainer.train()
        marks["train"] = time.perf_counter()
        trainer.predict(held_out)
        marks["evaluate"] = time.perf_counter()
        example = tokenizer([TEXT, TEXT + TEXT], return_tensors="pt", padding=True)
        file = Path(scratch) / "model.onnx"
        free = {0: torch.export.Dim("texts"), 1: torch.export.Dim("tokens", max=512)}
        torch.onnx.export(
            model.eval(),
            (example["input_ids"], example["attention_mask"]),
            file,
            input_names=["input_ids", "attention_mask"],
            dynamic_shapes=(free, free),
            dynamo=True,
        )
        marks["export"] = time.perf_counter()
        session = onnxruntime.InferenceSession(file)
        inputs = tokenizer([TEXT], return_tensors="np")
        feed = {name: np.asarray(inputs[name], dtype=np.int64) for name in ("input_ids", "attention_mask")}
        session.run(None, feed)
        marks["load"] = time.perf_counter()
    named = itertools.pairwise(marks.items())
    print(json.dumps({name: round(end - start, 3) for (_, start), (name, end) in named}))


def _splits(options: argparse.Namespace) -> list[tuple[str, int]]:
    return [("train", options.rows), ("test", options.test_rows)]


def _rows(folder: Path, split: str, wanted: int) -> list[dict[str, str]]:
    lines = (folder / f"{split}.jsonl").read_text(encoding="utf-8").split("\n")
    rows: list[dict[str, str]] = [json.loads(line) for line in lines if line]
    return random.Random(DRAWN).sample(rows, wanted) if wanted < len(rows) else rows


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--test-rows", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--max-length", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
