"""A plain FastAPI handler on transformers' pipeline: python fastapi_pipeline.py FOLDER PORT."""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

folder, port = sys.argv[1], int(sys.argv[2])
classify = pipeline("text-classification", model=folder, truncation=True, max_length=128)
app = FastAPI()


class Body(BaseModel):
    text: str


@app.post("/predict")
def predict(body: Body) -> dict[str, Any]:
    return dict(classify(body.text)[0])


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
