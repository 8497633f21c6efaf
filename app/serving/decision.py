"""From logits to answers: probabilities, the label, and as many scores as the client asked for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.schemas.predictions import Prediction

Logits = NDArray[np.float32]


def probabilities(logits: Logits) -> NDArray[np.float64]:
    """Turn logits into probabilities by softmax over the last axis, in float64. Both are (batch, labels)."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    result: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return result


def decide(
    logits: Logits,
    labels: Sequence[str],
    *,
    tokens: int,
    truncated: bool,
    top_k: int | None = None,
    return_all_scores: bool = False,
) -> Prediction:
    """Answer for one text from its logits, (labels,)."""
    scores = probabilities(logits)
    order = np.argsort(-scores, kind="stable")
    shown = len(labels) if return_all_scores else top_k
    return Prediction(
        label=labels[order[0]],
        score=float(scores[order[0]]),
        scores=None if shown is None else {labels[index]: float(scores[index]) for index in order[:shown]},
        tokens=tokens,
        truncated=truncated,
    )
