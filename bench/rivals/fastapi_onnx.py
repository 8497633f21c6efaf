"""A plain FastAPI handler on onnxruntime, as most people write it first: python fastapi_onnx.py FOLDER PORT."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer

folder, port = Path(sys.argv[1]), int(sys.argv[2])
labels = json.loads((folder / "labels.json").read_text())
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(128)
session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
app = FastAPI()


class Body(BaseModel):
    text: str


class Answer(BaseModel):
    label: str
    score: float


@app.post("/predict")
def predict(body: Body) -> Answer:
    ids = np.array([tokenizer.encode(body.text).ids], np.int64)
    (logits,) = session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    powers = np.exp(logits[0] - logits[0].max())
    scores = powers / powers.sum()
    best = int(scores.argmax())
    return Answer(label=labels[best], score=float(scores[best]))


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
