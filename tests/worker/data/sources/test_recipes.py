"""The named recipes against small stand-ins for their datasets on a loopback hub."""

import itertools
from collections import Counter

import pytest

from app.errors import JobFailure
from app.schemas.sources import TRUSTPILOT_DATASET, TWITTER_DATASET, TrustpilotSource, TwitterSource
from worker.data.sources import import_rows, twitter
from worker.data.sources.trustpilot import first_sentence

TWEETS = [{"text": f"tweet {number}", "label": number % 3} for number in range(30)]
PRAISE = "I like item {0} very much indeed! It works on day {0}. More words about item {0}."
BLAME = "I regret buying item {0} every day. Nothing works at all."


@pytest.fixture
def load(surroundings, tmp_path, make):
    """Import a recipe and give its record and its rows."""
    count = itertools.count()

    def load(wanted):
        folder = tmp_path / f"import-{next(count)}"
        (folder / "scratch").mkdir(parents=True)
        record = import_rows(wanted, surroundings, folder / "rows.jsonl", scratch=folder / "scratch")
        return record, make.read(folder / "rows.jsonl")

    return load


@pytest.fixture
def reviews(loopback, make):
    """The layout of Amazon Polarity: several training files, titles beside contents, class names in the card."""

    def file(start, count):
        texts = (BLAME, PRAISE)
        rows = [
            {"label": number % 2, "title": "a title", "content": texts[number % 2].format(number)}
            for number in range(start, start + count)
        ]
        return make.parquet(rows, classes={"label": ["negative", "positive"]})

    card = """---
configs:
- config_name: amazon_polarity
  data_files:
  - split: train
    path: amazon_polarity/train-*
  - split: test
    path: amazon_polarity/test-*
  default: true
---
"""
    loopback.repos[TRUSTPILOT_DATASET] = {
        "main": {
            "README.md": card.encode(),
            "amazon_polarity/train-00000-of-00002.parquet": file(0, 400),
            "amazon_polarity/train-00001-of-00002.parquet": file(5000, 10),
            "amazon_polarity/test-00000-of-00001.parquet": file(9000, 60),
        }
    }


def test_twitter_has_names_in_the_order_of_sentiment(load, loopback, make):
    files = {
        f"english/{split}/0000.parquet": make.parquet(TWEETS[:size], classes={"label": twitter.LABELS})
        for split, size in (("train", 30), ("validation", 6), ("test", 9))
    }
    loopback.repos[TWITTER_DATASET] = {
        "main": {"tweet_sentiment_multilingual.py": b"raise SystemExit"},
        "refs/convert/parquet": files,
    }
    record, rows = load(TwitterSource())
    assert record.labels == ["negative", "neutral", "positive"]
    assert rows[1] == {"text": "tweet 1", "label": "neutral", "split": "train"}
    assert Counter(row["split"] for row in rows) == {"train": 30, "validation": 6, "test": 9}
    assert (record.source, record.options) == ("twitter", {"source": "twitter", "revision": None})
    assert (record.dataset, record.config) == (TWITTER_DATASET, "english")


def test_trustpilot_has_three_equal_labels_in_three_splits(load, reviews, loopback):
    record, rows = load(TrustpilotSource(rows=120))
    assert record.labels == ["negative", "neutral", "positive"]
    assert record.counts == {
        "train": {"negative": 32, "neutral": 32, "positive": 32},
        "validation": {"negative": 4, "neutral": 4, "positive": 4},
        "test": {"negative": 4, "neutral": 4, "positive": 4},
    }
    assert [file.path.split("/")[1] for file in record.files] == [
        "train-00000-of-00002.parquet",
        "test-00000-of-00001.parquet",
    ]
    assert "synthetic" in record.notes[0]
    assert len({row["text"] for row in rows}) == 120


def items(text):
    """Name the reviews that a text is made of."""
    return {word for word in text.replace(".", " ").split() if word.isdigit()}


def test_a_neutral_text_joins_a_negative_and_a_positive_first_sentence(load, reviews):
    _, rows = load(TrustpilotSource(rows=120))
    neutral = [row["text"] for row in rows if row["label"] == "neutral"]
    assert all(len(items(text)) == 2 for text in neutral)
    assert all({int(item) % 2 for item in items(text)} == {0, 1} for text in neutral)
    assert all("regret" in text and "like" in text and "More words" not in text for text in neutral)
    assert {text.startswith("I regret") for text in neutral} == {True, False}, "in random order"


def test_no_review_is_used_twice_and_no_test_review_is_trained_on(load, reviews):
    _, rows = load(TrustpilotSource(rows=120))
    used = [item for row in rows for item in items(row["text"])]
    assert len(used) == len(set(used))
    for row in rows:
        assert {int(item) >= 9000 for item in items(row["text"])} == {row["split"] == "test"}


def test_the_seed_decides(load, reviews):
    first, again, other = (load(TrustpilotSource(rows=60, seed=seed))[0].rows_sha256 for seed in (1, 1, 2))
    assert first == again != other


def test_neutral_can_be_left_out(load, reviews):
    record, _ = load(TrustpilotSource(rows=100, synthetic_neutral=False))
    assert record.labels == ["negative", "positive"]
    assert record.counts["train"] == {"negative": 40, "positive": 40}
    assert record.notes == []


def test_too_many_rows_are_refused(load, reviews):
    with pytest.raises(JobFailure) as failure:
        load(TrustpilotSource(rows=10_000))
    assert failure.value.code == "too-few-rows"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A fine product, really. And more.", "A fine product, really."),
        ("No! It broke after one day. Sad.", "It broke after one day."),
        ("no full stop at the end", "no full stop at the end."),
        ("  many\n spaces  here, too!  x", "many spaces here, too!"),
        ("Short.", None),
        ("x" * 500, None),
        ("", None),
    ],
)
def test_the_first_sentence_of_fitting_length(text, sentence):
    assert first_sentence(text) == sentence
