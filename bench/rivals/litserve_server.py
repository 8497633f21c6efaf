"""LitServe on onnxruntime with its own batching: python litserve_server.py FOLDER PORT.

As many workers as cores with one thread each, batches of up to 8 after at most 5 ms: of what was tried, the fastest.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np
import onnxruntime
from tokenizers import Tokenizer


class Classifier(litserve.LitAPI):
    def __init__(self, folder: str, **options: Any) -> None:
        super().__init__(**options)
        self.folder = Path(folder)

    def setup(self, _device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.labels = json.loads((self.folder / "labels.json").read_text())
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(128)
        self.tokenizer.enable_padding()
        self.session = onnxruntime.InferenceSession(
            str(self.folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def decode_request(self, request: dict[str, str]) -> str:
        return request["text"]

    def predict(self, texts: list[str]) -> list[tuple[str, float]]:
        encodings = self.tokenizer.encode_batch_fast(texts)
        feed = {
            "input_ids": np.array([encoding.ids for encoding in encodings], np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], np.int64),
        }
        (logits,) = self.session.run(["logits"], feed)
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        scores = powers / powers.sum(axis=-1, keepdims=True)
        return [(self.labels[row.argmax()], float(row.max())) for row in scores]

    def encode_response(self, output: tuple[str, float]) -> dict[str, Any]:
        return {"label": output[0], "score": output[1]}


if __name__ == "__main__":
    api = Classifier(sys.argv[1], max_batch_size=8, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=len(os.sched_getaffinity(0)))
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", generate_client_file=False)
