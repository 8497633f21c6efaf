"""The accuracy gate: may a format that computes with less precision answer in the place of the trained model?"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.export.source import Answer, Decide, Logits, Rows, Texts, agreement, most_probable

MOST_ROWS = 1000
"""Validation rows judged, of all lengths: enough to see half a point, few enough to take seconds."""
BATCH = 16

Judge = Callable[[Logits, NDArray[np.int64]], float]
"""Turns logits (rows, labels) and true labels (rows,) into a score; higher is better."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a reduced precision may cost."""

    metric: str
    """Name of what the judge measures."""
    max_metric_drop: float
    min_label_agreement: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate found."""

    rows: int
    max_abs_difference: float
    label_agreement: float
    metric_value: float
    metric_drop: float
    reason: str | None
    """Why it does not pass."""


class Gate:
    """Judges formats against the fp32 one, on rows that the model has not learned from."""

    def __init__(
        self, rows: Rows, judge: Judge, bounds: Bounds, check: Callable[[], None], decide: Decide = most_probable
    ) -> None:
        self.bounds = bounds
        self._rows = rows
        self._judge = judge
        self._check = check
        self._decide = decide
        self._expected: Logits | None = None

    def judge(self, exact: Callable[[], Answer], answer: Answer) -> Verdict:
        """Compare ``answer`` with ``exact``, whose answers are remembered; it is loaded when they are first needed."""
        if self._expected is None:
            self._expected = self._ask(exact())
        expected, logits = self._expected, self._ask(answer)
        truth = np.concatenate([texts.batch.labels.numpy() for texts in self._texts()])
        value = self._judge(logits, truth)
        drop = self._judge(expected, truth) - value
        agrees = agreement(self._decide(expected), self._decide(logits))
        return Verdict(
            rows=len(logits),
            max_abs_difference=float(np.abs(expected - logits).max()),
            label_agreement=agrees,
            metric_value=value,
            metric_drop=drop,
            reason=self._reason(logits, drop, agrees),
        )

    def _ask(self, answer: Answer) -> Logits:
        parts = []
        for texts in self._texts():
            self._check()
            parts.append(answer(texts))
        return np.concatenate(parts)

    def _texts(self) -> Iterable[Texts]:
        for rows in self._rows.packed(self._rows.spread(MOST_ROWS), BATCH):
            yield Texts.of(self._rows, rows)

    def _reason(self, logits: Logits, drop: float, agrees: float) -> str | None:
        bounds = self.bounds
        if not np.isfinite(logits).all():
            return "some of its answers are not numbers"
        if drop > bounds.max_metric_drop:
            return (
                f"{bounds.metric} on {len(logits)} validation rows falls by {drop:.4f}, more than "
                f"max_metric_drop {bounds.max_metric_drop:g} allows"
            )
        if agrees < bounds.min_label_agreement:
            return (
                f"it gives the trained model's labels to {agrees:.1%} of {len(logits)} validation rows, fewer than "
                f"min_label_agreement {bounds.min_label_agreement:g} asks for"
            )
        return None
