"""Experiments that can be repeated: two runs of the profile research, compared, and the better one promoted.

python examples/research.py [BASE_MODEL]
"""

import sys
from pathlib import Path

from app.client import ApiError, Tunesmith

DATA = Path(__file__).parent / "data" / "customer_messages.csv"
BASE_MODEL = sys.argv[1] if len(sys.argv) > 1 else "minilm-l6"  # the profile's own is bert-base-uncased

with Tunesmith() as ts:
    dataset = ts.upload_dataset(DATA)  # split once, so that both runs are judged on the same rows
    runs = [
        ts.train(
            "research",
            dataset,
            profile="research",
            base_model=BASE_MODEL,
            hyperparameters={"num_train_epochs": 1, "learning_rate": rate},
            metadata={"experiment": "learning rate"},
        )
        for rate in (5e-5, 2e-4)
    ]
    versions = [job.wait().result for job in runs]
    if None in versions:
        sys.exit("a run has failed; see: python -m app jobs")
    first, second = (found.version for found in versions if found is not None)
    ts.set_alias("research", "champion", first)
    ts.set_policy("research", "champion", {"not_worse_than_current": {"metric": "f1_macro"}})
    try:
        ts.set_alias("research", "champion", second, reason="A larger learning rate.")
        print(f"version {second} serves; ts.roll_back('research', 'champion') takes that back")
    except ApiError as error:
        print(error.detail)
    ts.delete_policy("research", "champion")
    if (found := ts.diff("research", first, second).comparison) is not None:
        low, high = found.f1_macro_interval.low, found.f1_macro_interval.high
        print(f"macro F1 differs by {found.f1_macro_difference:+.3f}; 95 % sure: {low:+.3f} to {high:+.3f}")
