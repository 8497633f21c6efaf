"""Source ``trustpilot``: reviews with three sentiments, made from Amazon Polarity, which stands in for Trustpilot.

Amazon Polarity was made without reviews of three stars, so it has nothing neutral. A neutral text is made of the first
sentence of a negative and the first sentence of a positive review: it praises and blames. The two reviews are used for
nothing else, and all texts of one split come from one split of the hub. What is learned is to tell mixed reviews from
clear ones; a real lukewarm review may be judged otherwise.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np

from app.errors import JobFailure
from app.schemas.datasets import SplitName, SplitPolicy
from app.schemas.sources import TRUSTPILOT_DATASET, HubSource, TrustpilotSource
from worker.data.hub.repository import Hub
from worker.data.hub.table import open_table
from worker.data.sources.examples import Drawn, Example
from worker.data.sources.labels import LabelNamer

CONFIG = "amazon_polarity"
NEGATIVE, NEUTRAL, POSITIVE = "negative", "neutral", "positive"
SHARES: dict[SplitName, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
NOTE = (
    "The neutral texts are synthetic: each joins the first sentence of a negative and the first sentence of a positive "
    "review that are used nowhere else. Scores on them say nothing about real neutral reviews."
)
SHORTEST, LONGEST = 15, 400
"""Characters of a sentence that is fit for a neutral text."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def draw(wanted: TrustpilotSource, hub: Hub, scratch: Path) -> Drawn:
    """Download a part of the reviews and make the splits.

    Raises JobFailure as the source ``hub`` does, and ``too-few-rows``.
    """
    # One file of each split has many times the rows that are needed, and a fraction of the download.
    recipe = HubSource(
        dataset=TRUSTPILOT_DATASET,
        config=CONFIG,
        revision=wanted.revision,
        text_column="content",
        splits={"train": "train", "test": "test"},
        files_per_split=1,
    )
    table = open_table(recipe, hub, scratch)
    note = [NOTE] if wanted.synthetic_neutral else []
    provenance = table.provenance.model_copy(
        update={
            "source": wanted.source,
            "options": wanted.model_dump(mode="json"),
            "notes": [*table.provenance.notes, *note],
        }
    )
    labels = [NEGATIVE, NEUTRAL, POSITIVE] if wanted.synthetic_neutral else [NEGATIVE, POSITIVE]
    policy = SplitPolicy(validation_fraction=0, test_fraction=0, seed=wanted.seed)
    return Drawn(_examples(table.splits["train"], table.splits["test"], wanted), labels, provenance, policy)


def first_sentence(text: str) -> str | None:
    """Give the first sentence of fitting length, with a full stop if it has no end of its own; None: there is none."""
    for sentence in _SENTENCE_END.split(" ".join(text.split())):
        if SHORTEST <= len(sentence) <= LONGEST:
            return sentence if sentence[-1] in ".!?" else f"{sentence}."
    return None


class Reviews:
    """The reviews of one split in random order, each handed out at most once."""

    def __init__(self, split: datasets.Dataset, random: np.random.Generator) -> None:
        names = getattr(split.features["label"], "names", None)
        namer = LabelNamer([NEGATIVE, POSITIVE], names)
        labels = np.array([namer.name(value) for value in split["label"]])
        self._texts = split["content"]
        self._random = random
        self._left = {
            label: iter(random.permutation(np.flatnonzero(labels == label)).tolist()) for label in (NEGATIVE, POSITIVE)
        }

    def take(self, label: str) -> str:
        """Give the next review that has a text. Raises JobFailure ``too-few-rows``."""
        for row in self._left[label]:
            if isinstance(text := self._texts[row], str) and text.strip():
                return text
        raise JobFailure(
            detail=f"The downloaded part of {TRUSTPILOT_DATASET} has not enough {label} reviews.",
            code="too-few-rows",
            remedy="Ask for fewer rows.",
            kind="user",
        )

    def mixed(self) -> str:
        """Join first sentences of a negative and of a positive review, in random order."""
        sentences = [self._sentence(NEGATIVE), self._sentence(POSITIVE)]
        return " ".join(sentences if self._random.random() < 0.5 else reversed(sentences))

    def _sentence(self, label: str) -> str:
        while (sentence := first_sentence(self.take(label))) is None:
            pass
        return sentence


def _examples(train: datasets.Dataset, test: datasets.Dataset, wanted: TrustpilotSource) -> Iterator[Example]:
    random = np.random.default_rng(wanted.seed)
    # Training and validation share a file of the hub; one Reviews hands each review out once.
    learning, judging = Reviews(train, random), Reviews(test, random)
    labels = [NEGATIVE, NEUTRAL, POSITIVE] if wanted.synthetic_neutral else [NEGATIVE, POSITIVE]
    for split, rows in _sizes(wanted.rows).items():
        reviews = judging if split == "test" else learning
        for row in range(rows):
            label = labels[row % len(labels)]
            yield Example(reviews.mixed() if label == NEUTRAL else reviews.take(label), label, split)


def _sizes(rows: int) -> dict[SplitName, int]:
    held_out: dict[SplitName, int] = {name: round(rows * part) for name, part in SHARES.items() if name != "train"}
    return {"train": rows - sum(held_out.values()), **held_out}
