"""Tweets: the profile twitter-bert, with links and mentions made alike, followed event by event.

python examples/tweets.py [BASE_MODEL]
"""

import sys
from pathlib import Path

from app.client import Tunesmith

DATA = Path(__file__).parent / "data" / "customer_messages.csv"
BASE_MODEL = sys.argv[1] if len(sys.argv) > 1 else "minilm-l6"  # the profile's own is bert-base-uncased

with Tunesmith() as ts:
    # ts.import_dataset({"source": "twitter"}) has a worker fetch real tweets, where there is a network.
    job = ts.train(
        "tweets",
        DATA,
        profile="twitter-bert",
        base_model=BASE_MODEL,
        text={"urls": "replace", "strip_mentions": True},  # the same is done to every text that is asked about later
        # So few rows want larger steps than the profile takes.
        hyperparameters={"num_train_epochs": 2, "learning_rate": "auto", "head_learning_rate_multiplier": "auto"},
    )
    for event in job.stream():
        if event.type == "evaluated":
            scores = event.data["metrics"]
            print(f"step {event.data['step']}: accuracy {scores['accuracy']:.3f}, loss {scores['loss']:.3f}")
    if job.result is None:
        sys.exit(f"{job.id} {job.status}: {job.status_reason}")
    answer = ts.predict("tweets", "@shop look at https://example.org/x, this is how it arrived", return_all_scores=True)
    print(answer.predictions[0].scores)
