"""BentoML on onnxruntime with its own adaptive batching: python bentoml_server.py FOLDER PORT.

As many workers as cores with one thread each, batches of up to 8.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

CORES = len(os.sched_getaffinity(0))


@bentoml.service(workers=CORES, traffic={"timeout": 60})
class Classifier:
    def __init__(self) -> None:
        folder = Path(os.environ["BENCH_FOLDER"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.labels = json.loads((folder / "labels.json").read_text())
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(128)
        self.tokenizer.enable_padding()
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    @bentoml.api(batchable=True, max_batch_size=8, max_latency_ms=60_000)
    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        encodings = self.tokenizer.encode_batch_fast(texts)
        feed = {
            "input_ids": np.array([encoding.ids for encoding in encodings], np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], np.int64),
        }
        (logits,) = self.session.run(["logits"], feed)
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        scores = powers / powers.sum(axis=-1, keepdims=True)
        return [{"label": self.labels[row.argmax()], "score": float(row.max())} for row in scores]


if __name__ == "__main__":
    os.environ["BENCH_FOLDER"] = sys.argv[1]
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    where = ["--working-dir", str(Path(__file__).parent), "--host", "127.0.0.1", "--port", sys.argv[2]]
    program = [sys.executable, "-m", "bentoml", "serve", "bentoml_server:Classifier", *where]
    os.execv(sys.executable, program)
