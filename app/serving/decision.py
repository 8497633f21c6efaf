"""From logits to answers: probabilities, the label, and as many scores as the client asked for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.schemas.predictions import Prediction
from app.text.tokenizer import Encoded

Logits = NDArray[np.float32]


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
    scores = probabilities(logits)
    shown = len(labels) if return_all_scores else min(top_k or 0, len(labels))
    order = np.argsort(-scores, axis=-1, kind="stable")[:, : max(shown, 1)]  # (batch, shown)
    ranked = np.take_along_axis(scores, order, axis=-1).tolist()
    return [
        Prediction(
            label=labels[best[0]],
            score=values[0],
            scores={labels[index]: value for index, value in zip(best, values, strict=True)} if shown else None,
            tokens=tokens,
            truncated=truncated,
        )
        for best, values, tokens, truncated in zip(
            order.tolist(), ranked, encoded.tokens, encoded.truncated, strict=True
        )
    ]
