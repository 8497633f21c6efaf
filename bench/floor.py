"""The floor: texts to labels with tokenizers and onnxruntime in one process, in the best of a few batch policies.

    python -m bench.floor FOLDER TEXTS --seconds 2

FOLDER holds model.onnx and tokenizer.json, TEXTS is a JSON list; --file names another graph of the folder. No server of
the same graph can be faster on the same cores, but for what it does differently. The last line is one JSON object:
texts/s by policy, the best, and one text at a time.
"""

import argparse
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

WINDOW = 64
"""Texts that are sorted by length together: as many as 64 clients can have waiting."""
BATCHES = (1, 2, 4, 8, 32)
MAX_LENGTH = 128

Ids = NDArray[np.int64]
Classify = Callable[[Sequence[str]], None]


class Model:
    """One session; several threads may share it."""

    def __init__(self, folder: Path, file: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(folder / file), options, ["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_LENGTH)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn texts into ids."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def labels(self, batch: Sequence[list[int]]) -> list[int]:
        """Classify a batch, padded to its longest text."""
        longest = max(map(len, batch))
        ids, mask = np.zeros((len(batch), longest), np.int64), np.zeros((len(batch), longest), np.int64)
        for row, text in enumerate(batch):
            ids[row, : len(text)], mask[row, : len(text)] = text, 1
        (logits,) = self._session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return (powers / powers.sum(axis=-1, keepdims=True)).argmax(axis=-1).tolist()


def in_turn(model: Model, texts: Sequence[str], size: int) -> None:
    """Classify texts in sorted batches, one batch after the other."""
    for start in range(0, len(texts), WINDOW):
        for batch in batches(model, texts[start : start + WINDOW], size):
            model.labels(batch)


def beside(model: Model, texts: Sequence[str], size: int, workers: int) -> None:
    """Classify texts in sorted batches, as many at a time as there are workers."""
    waiting: queue.SimpleQueue[list[list[int]]] = queue.SimpleQueue()
    for start in range(0, len(texts), WINDOW):
        for batch in batches(model, texts[start : start + WINDOW], size):
            waiting.put(batch)

    def work() -> None:
        while True:
            try:
                model.labels(waiting.get_nowait())
            except queue.Empty:
                return

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def batches(model: Model, texts: Sequence[str], size: int) -> list[list[list[int]]]:
    ids = sorted(model.encode(texts), key=len) if size > 1 else model.encode(texts)
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def rate(texts: Sequence[str], seconds: float, classify: Classify) -> tuple[float, float]:
    """Count texts a second and milliseconds of computing a text, after a short warm-up."""
    classify(texts[:WINDOW])
    began, computed, done = time.perf_counter(), time.process_time(), 0
    while (spent := time.perf_counter() - began) < seconds:
        part = [texts[(done + index) % len(texts)] for index in range(2 * WINDOW)]
        classify(part)
        done += len(part)
    return done / spent, 1e3 * (time.process_time() - computed) / done


def alone(model: Model, texts: Sequence[str], seconds: float) -> dict[str, float]:
    """Classify one text at a time, as a single client would ask."""
    times: list[float] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        model.labels(model.encode([texts[len(times) % len(texts)]]))
        times.append(time.perf_counter() - start)
    ordered = sorted(times)
    return {
        "texts_per_second": round(len(times) / sum(times), 1),
        "p50_ms": round(ordered[len(ordered) // 2] * 1e3, 2),
        "p99_ms": round(ordered[int(0.99 * len(ordered))] * 1e3, 2),
    }


def measure(folder: Path, file: str, texts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Measure every policy."""
    cores = len(os.sched_getaffinity(0))
    wide, narrow = Model(folder, file, cores), Model(folder, file, 1)
    policies: dict[str, tuple[float, float]] = {}
    for size in BATCHES:
        policies[f"1x{cores} batch {size}"] = rate(texts, seconds, lambda part, n=size: in_turn(wide, part, n))
        if cores > 1:
            name = f"{cores}x1 batch {size}"
            policies[name] = rate(texts, seconds, lambda part, n=size: beside(narrow, part, n, cores))
    best = max(policies, key=lambda name: policies[name])
    lone = max((alone(model, texts, seconds) for model in (wide, narrow)), key=lambda one: one["texts_per_second"])
    return {
        "cpu_ms": {name: round(value, 3) for name, (_, value) in policies.items()},
        "policies": {name: round(value, 1) for name, (value, _) in policies.items()},
        "best_policy": best,
        "texts_per_second": round(policies[best][0], 1),
        "cpu_ms_per_text": round(policies[best][1], 3),
        "alone": lone,
        "labels": [label for text in texts[:WINDOW] for label in narrow.labels(narrow.encode([text]))],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--file", default="model.onnx")
    options = parser.parse_args()
    texts = json.loads(options.texts.read_text())
    print(json.dumps(measure(options.folder, options.file, texts, options.seconds)))


if __name__ == "__main__":
    main()
