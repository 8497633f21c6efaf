"""Short texts, answered quickly: the profile rt-sentiment, and the fastest format that lost nothing.

python examples/rt_sentiment.py [BASE_MODEL]
"""

import sys
from pathlib import Path

from app.client import Tunesmith

DATA = Path(__file__).parent / "data" / "customer_messages.csv"
BASE_MODEL = sys.argv[1] if len(sys.argv) > 1 else "minilm-l6"  # the profile's own is distilbert-base-uncased

with Tunesmith() as ts:
    job = ts.train(
        "rt-sentiment",
        DATA,
        profile="rt-sentiment",
        base_model=BASE_MODEL,
        # int8 is kept only if it answers as the trained model does; else onnx answers.
        export={"formats": ["onnx", "onnx-int8"], "serve": "auto"},
        # So few rows want larger steps than the profile takes.
        hyperparameters={"num_train_epochs": 2, "learning_rate": "auto", "head_learning_rate_multiplier": "auto"},
    )
    job.wait()
    if job.result is None:
        sys.exit(f"{job.id} {job.status}: {job.status_reason}")
    version = ts.version("rt-sentiment", job.result.version)
    print(f"version {version.version} answers by {version.serve}")
    for export in version.exports:
        print(f"{export.format}: {'as good as the trained model' if export.passed else export.reason}")
    answer = ts.predict("rt-sentiment", ["My parcel never came.", "When do you open?", "Lovely, thank you!"])
    for prediction in answer.predictions:
        print(f"{prediction.label} {prediction.score:.2f}")
