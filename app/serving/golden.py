"""Golden examples: texts in the bundle with the probabilities that its formats answered where they were made.

Each load answers them again. A model, a tokenizer, a library or a processor that answers otherwise is found before a
caller meets it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from app.artifacts.bundle import damaged
from app.errors import JobFailure
from app.schemas.base import Resource
from app.schemas.jobs import ServedFormat
from app.serving.predictor import Predictor

TOLERANCES: dict[ServedFormat, float] = {"onnx": 1e-3, "onnx-fp16": 1e-2, "onnx-int8": 0.1}
"""Largest difference of a probability. fp32 differs by rounding between processors, 1e-6; int8 by how a processor adds
up 8-bit products, some hundredths; what is broken differs by more on one of a dozen texts."""
_DIGITS = 7


class Example(Resource):
    """One text."""

    text: str
    tokens: int
    """Its length before anything is cut off."""
    probabilities: dict[ServedFormat, list[float]]
    """Of all labels of all tasks, in the order of the logits, by format."""


class Golden(Resource):
    """All of a bundle."""

    examples: list[Example]


def record(predictors: Mapping[ServedFormat, Predictor], texts: Sequence[str]) -> Golden:
    """Answer texts in every format; a text that one of them has no number for is left out."""
    examples = []
    for text in texts:
        answers = {name: _answer(predictor, text) for name, predictor in predictors.items()}
        if all(np.isfinite(values).all() for _, values in answers.values()):
            examples.append(
                Example(
                    text=text,
                    tokens=next(iter(answers.values()))[0],
                    probabilities={name: values.round(_DIGITS).tolist() for name, (_, values) in answers.items()},
                )
            )
    return Golden(examples=examples)


def read(file: Path, model: str) -> Golden:
    """Read what a bundle says. Raises JobFailure ``damaged-bundle``."""
    try:
        return Golden.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise damaged(model, f"{file.name} is missing or malformed") from error


def replay(golden: Golden, predictor: Predictor) -> None:
    """Answer every example again. Raises JobFailure ``golden-mismatch`` at the first that is answered otherwise."""
    served = predictor.manifest.serve
    for number, example in enumerate(golden.examples, start=1):
        expected = example.probabilities.get(served)
        if expected is None:
            continue
        tokens, found = _answer(predictor, example.text)
        if tokens != example.tokens:
            raise _mismatch(predictor, f"golden example {number} has {tokens} tokens here, {example.tokens} expected")
        difference = np.abs(found - np.asarray(expected)).max() if len(found) == len(expected) else np.inf
        if not difference <= TOLERANCES[served]:  # so that no number at all is a difference too
            raise _mismatch(
                predictor,
                f"a probability of golden example {number} differs by {difference:.2g}, "
                f"{served} may differ by {TOLERANCES[served]:g}",
            )


def _answer(predictor: Predictor, text: str) -> tuple[int, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Give the tokens and the probabilities of one text, (labels,); alone, as int8 depends on its company."""
    encoded = predictor.encoder.encode([text])
    return encoded.tokens[0], predictor.decide.probabilities(predictor.logits(encoded.ids))[0]


def _mismatch(predictor: Predictor, what: str) -> JobFailure:
    return JobFailure(
        detail=f"A version of {predictor.manifest.model} answers otherwise than where it was trained: {what}.",
        code="golden-mismatch",
        remedy="Compare the versions of onnxruntime and tokenizers with those in the manifest; else train it again.",
        kind="internal",
    )
