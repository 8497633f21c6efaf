"""From logits to answers: probabilities, the label, and as many scores as the client asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from app.artifacts.bundle import Manifest
from app.schemas.models import Task
from app.schemas.predictions import Prediction, TaskPrediction
from app.text.tokenizer import Encoded

Logits = NDArray[np.float32]
Decide = Callable[[Logits, Encoded, int | None, bool], list[Prediction]]
"""Answers from logits, (batch, labels), for the texts that were encoded; as many scores as asked for."""


def decision_of(manifest: Manifest) -> Decide:
    """Give the way a version decides, chosen once and for all."""
    if manifest.problem_type == "multi_label":
        thresholds = np.asarray(manifest.thresholds or [0.5] * len(manifest.labels))
        return partial(_decide_sets, manifest.labels, thresholds)
    if manifest.tasks:
        return partial(_decide_tasks, manifest.heads, manifest.tasks)
    return lambda logits, encoded, top_k, all_scores: decide(
        logits, manifest.labels, encoded, top_k=top_k, return_all_scores=all_scores
    )


def probabilities(logits: Logits) -> NDArray[np.float64]:
    """Turn logits into probabilities by softmax over the last axis, in float64. Both are (batch, labels)."""
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=-1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return result


def decide(
    logits: Logits,
    labels: Sequence[str],
    encoded: Encoded,
    *,
    top_k: int | None = None,
    return_all_scores: bool = False,
) -> list[Prediction]:
    """Answer for each text from its logits, (batch, labels); of equal scores the first label wins."""
    answers = _best(logits, labels, top_k, return_all_scores)
    return [
        Prediction(label=label, score=score, scores=named, tokens=tokens, truncated=truncated)
        for (label, score, named), tokens, truncated in zip(answers, encoded.tokens, encoded.truncated, strict=True)
    ]


def _best(
    logits: Logits, labels: Sequence[str], top_k: int | None, return_all_scores: bool
) -> Iterator[tuple[str, float, dict[str, float] | None]]:
    """Give each text's most probable label, its probability, and as many probabilities by label as asked for."""
    scores = probabilities(logits)
    shown = len(labels) if return_all_scores else min(top_k or 0, len(labels))
    order = np.argsort(-scores, axis=-1, kind="stable")[:, : max(shown, 1)]  # (batch, shown)
    ranked = np.take_along_axis(scores, order, axis=-1).tolist()
    for best, values in zip(order.tolist(), ranked, strict=True):
        named = {labels[index]: value for index, value in zip(best, values, strict=True)} if shown else None
        yield labels[best[0]], values[0], named


def _decide_tasks(
    heads: Mapping[str, slice],
    tasks: Sequence[Task],
    logits: Logits,
    encoded: Encoded,
    top_k: int | None,
    return_all_scores: bool,
) -> list[Prediction]:
    """Answer with each head by itself: of the main task as a model of its own would, of the others beside it."""
    main, *others = tasks
    answers = decide(
        logits[:, heads[main.name]], main.labels, encoded, top_k=top_k, return_all_scores=return_all_scores
    )
    for task in others:
        found = _best(logits[:, heads[task.name]], task.labels, top_k, return_all_scores)
        for answer, (label, score, named) in zip(answers, found, strict=True):
            answer.tasks = (answer.tasks or {}) | {task.name: TaskPrediction(label=label, score=score, scores=named)}
    return answers


def each_probability(logits: Logits) -> NDArray[np.float64]:
    """Turn logits into probabilities by the sigmoid, each label by itself, in float64. Both are (batch, labels)."""
    result: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -logits.astype(np.float64)))
    return result


def _decide_sets(
    labels: Sequence[str],
    thresholds: NDArray[np.float64],
    logits: Logits,
    encoded: Encoded,
    top_k: int | None,
    return_all_scores: bool,
) -> list[Prediction]:
    """Answer with every label that reaches its threshold."""
    scores = each_probability(logits)
    order = np.argsort(-scores, axis=-1, kind="stable")  # (batch, labels)
    given = np.take_along_axis(scores >= thresholds, order, axis=-1).tolist()
    ranked = np.take_along_axis(scores, order, axis=-1).tolist()
    shown = len(labels) if return_all_scores else min(top_k or 0, len(labels))
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
