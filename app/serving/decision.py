"""From logits to answers: probabilities, the label, and as many scores as the client asked for.

Everyone who answers with a version, or judges its answers, decides here: the server, the export gate, the evaluation.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.artifacts.bundle import Manifest
from app.schemas.predictions import Prediction, TaskPrediction
from app.text.tokenizer import Encoded

Logits = NDArray[np.float32]
Probabilities = NDArray[np.float64]
FEW_SCORES = 64
"""Up to here numpy takes longer to be called than the numbers take to be computed one by one."""
EVEN = 0.5
"""The threshold of a label that has none of its own."""


def probabilities(logits: Logits, temperature: float = 1.0) -> Probabilities:
    """Turn logits into probabilities by softmax over the last axis, in float64. Both are (batch, labels)."""
    exact = logits.astype(np.float64) / temperature
    powers = np.exp(exact - exact.max(axis=-1, keepdims=True))
    result: Probabilities = powers / powers.sum(axis=-1, keepdims=True)
    return result


def each_probability(logits: Logits, temperature: float = 1.0) -> Probabilities:
    """Turn logits into probabilities by the sigmoid, each label by itself, in float64. Both are (batch, labels)."""
    result: Probabilities = np.exp(-np.logaddexp(0.0, -logits.astype(np.float64) / temperature))
    return result


@dataclass(frozen=True, slots=True)
class _Head:
    """One task: its part of the logits and how it decides."""

    name: str
    labels: Sequence[str]
    columns: slice
    temperature: float


@dataclass(frozen=True, slots=True)
class Decider:
    """The way a version decides, made once and for all of its manifest."""

    heads: Sequence[_Head]
    thresholds: Probabilities | None
    """Of multi_label: the probability from which each label is given, (labels,)."""
    abstain_below: float | None
    top_k: int | None

    def __call__(
        self, logits: Logits, encoded: Encoded, top_k: int | None, return_all_scores: bool
    ) -> list[Prediction]:
        """Answer for each text from its logits, (batch, labels); of equal scores the first label wins."""
        top_k = self.top_k if top_k is None else top_k
        if self.thresholds is not None:
            return self._sets(logits, self.thresholds, encoded, top_k, return_all_scores)
        main, *others = self.heads
        answers = [
            Prediction(
                label=label,
                score=score,
                abstained=self._abstains(score),
                scores=named,
                tokens=tokens,
                truncated=truncated,
            )
            for (label, score, named), tokens, truncated in zip(
                _best(logits, main, top_k, return_all_scores), encoded.tokens, encoded.truncated, strict=True
            )
        ]
        for head in others:
            for answer, (label, score, named) in zip(
                answers, _best(logits, head, top_k, return_all_scores), strict=True
            ):
                task = TaskPrediction(label=label, score=score, abstained=self._abstains(score), scores=named)
                answer.tasks = (answer.tasks or {}) | {head.name: task}
        return answers

    def probabilities(self, logits: Logits) -> Probabilities:
        """Give the probabilities of all labels of all tasks; both are (batch, labels)."""
        turn = probabilities if self.thresholds is None else each_probability
        return np.concatenate([turn(logits[:, head.columns], head.temperature) for head in self.heads], axis=1)

    def _abstains(self, score: float) -> bool | None:
        return None if self.abstain_below is None else score < self.abstain_below

    def _sets(
        self,
        logits: Logits,
        thresholds: Probabilities,
        encoded: Encoded,
        top_k: int | None,
        return_all_scores: bool,
    ) -> list[Prediction]:
        """Answer with every label that reaches its threshold."""
        labels = self.heads[0].labels
        scores = self.probabilities(logits)
        order = np.argsort(-scores, axis=-1, kind="stable")  # (batch, labels)
        given = np.take_along_axis(scores >= thresholds, order, axis=-1).tolist()
        ranked = np.take_along_axis(scores, order, axis=-1).tolist()
        shown = _shown(labels, top_k, return_all_scores)
        return [
            Prediction(
                label=labels[best[0]],
                score=values[0],
                labels=[labels[index] for index, reached in zip(best, reaches, strict=True) if reached],
                scores={labels[index]: value for index, value in list(zip(best, values, strict=True))[:shown]}
                if shown
                else None,
                tokens=tokens,
                truncated=truncated,
            )
            for best, values, reaches, tokens, truncated in zip(
                order.tolist(), ranked, given, encoded.tokens, encoded.truncated, strict=True
            )
        ]


def decision_of(manifest: Manifest) -> Decider:
    """Give the way a version decides; one without a word on it decides as versions always did."""
    rule = manifest.decision
    several = manifest.problem_type == "multi_label"
    named = {task.name: task.labels for task in manifest.tasks} or {"": manifest.labels}
    main = next(iter(named))
    heads = [
        _Head(
            name,
            named[name],
            columns,
            temperature=rule.temperature if name == main else rule.task_temperatures.get(name, 1.0),
        )
        for name, columns in manifest.heads.items()
    ]
    return Decider(
        heads=heads,
        thresholds=np.asarray(manifest.thresholds or [EVEN] * len(manifest.labels)) if several else None,
        abstain_below=rule.abstain_below,
        top_k=rule.top_k,
    )


def _best(
    logits: Logits, head: _Head, top_k: int | None, return_all_scores: bool
) -> Iterator[tuple[str, float, dict[str, float] | None]]:
    """Give each text's most probable label, its probability, and as many probabilities by label as asked for."""
    labels = head.labels
    shown = _shown(labels, top_k, return_all_scores)
    if not shown and logits.size <= FEW_SCORES:  # as most calls are
        for row in logits[:, head.columns].tolist():
            best, score = _top(row, head.temperature)
            yield labels[best], score, None
        return
    scores = probabilities(logits[:, head.columns], head.temperature)
    if not shown:  # sorting would take longer than all the rest here
        for first, score in zip(scores.argmax(axis=-1).tolist(), scores.max(axis=-1).tolist(), strict=True):
            yield labels[first], score, None
        return
    order = np.argsort(-scores, axis=-1, kind="stable")[:, :shown]  # (batch, shown)
    ranked = np.take_along_axis(scores, order, axis=-1).tolist()
    for best, values in zip(order.tolist(), ranked, strict=True):
        yield labels[best[0]], values[0], {labels[index]: value for index, value in zip(best, values, strict=True)}


def _top(logits: Sequence[float], temperature: float) -> tuple[int, float]:
    """Give the place of the highest probability of a few logits, by softmax, the first of equal ones, and itself."""
    highest = max(logits)
    powers = [math.exp((value - highest) / temperature) for value in logits]
    whole = sum(powers)
    scores = [power / whole for power in powers]
    score = max(scores)
    return scores.index(score), score


def _shown(labels: Sequence[str], top_k: int | None, return_all_scores: bool) -> int:
    """Count the probabilities that an answer shows."""
    return len(labels) if return_all_scores else min(top_k or 0, len(labels))
