"""Predictions: texts in, labels with probabilities out."""

from typing import Annotated

from pydantic import Field

from app.schemas.base import Resource, StrictModel
from app.schemas.jobs import ServedFormat
from app.schemas.traffic import Prefer as Prefer
from app.schemas.traffic import RoutingKey

MODEL_REFERENCE_PATTERN = r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?(@[a-z][a-z0-9_-]{0,31}|:[1-9][0-9]{0,8})?$"


class PredictInputs(StrictModel):
    """Classify one text or a list of them; one text and a list of one behave alike."""

    inputs: str | Annotated[list[str], Field(min_length=1)]
    """One text, or a list of texts."""
    top_k: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Give only the k most probable labels in ``scores``; null: as many as the version's job asked for
    as ``top_k`` of its ``decision``, usually none."""
    return_all_scores: bool = False
    """Give the probability of every label."""
    prefer: Prefer | None = None
    """Which format of the version is to answer. speed: the fastest that passed its accuracy gate; accuracy: onnx, which
    computes in fp32 as the trained model does; null: what the alias prefers, else the one that its job chose. A format
    that cannot be loaded is replaced by the one its job chose."""
    routing_key: RoutingKey | None = None
    """Who asks, in a word of your own, such as the id of an account: where an alias has a canary, the same key is
    answered by the same version. It is hashed and not kept. null: the header ``X-Routing-Key``, else chance decides."""


class PredictRequest(PredictInputs):
    """The same, with the model to ask."""

    model: Annotated[
        str, Field(pattern=MODEL_REFERENCE_PATTERN, examples=["customer-messages", "sentiment@champion", "sentiment:3"])
    ]
    """NAME (its serving version), NAME@ALIAS or NAME:VERSION."""


class TaskPrediction(Resource):
    """The answer of one further task for one text."""

    label: str
    """The most probable label of the task."""
    score: float
    """Its probability among the labels of the task, 0 to 1."""
    abstained: bool | None = None
    """True when the probability is lower than the version's ``abstain_below``; null: it has none."""
    scores: dict[str, float] | None = None
    """Probabilities by label, most probable first."""


class Prediction(Resource):
    """The answer for one text."""

    label: str
    """The most probable label."""
    score: float
    """Its probability, 0 to 1."""
    abstained: bool | None = None
    """True when the probability is lower than the version's ``abstain_below``, so that the label is better not relied
    upon; null: the version has no such bound."""
    labels: list[str] | None = None
    """Of a multi-label version: every label whose probability reaches its threshold, most probable first."""
    scores: dict[str, float] | None = None
    """Probabilities by label, most probable first."""
    tasks: dict[str, TaskPrediction] | None = None
    """Of a multitask version: the answers of the further tasks by name; all else is the main task's."""
    tokens: int
    """Tokens the text has, special tokens included, before truncation."""
    truncated: bool
    """True when the model saw only a part of the text: it is longer than the version reads."""
    id: str | None = None
    """Its id in the log of the alias, for ``POST /predictions/{id}/feedback``; null: it was not logged."""


class Timing(Resource):
    """Where the milliseconds went."""

    queue_ms: float
    """Waiting for a free thread, in milliseconds."""
    tokenize_ms: float
    """Turning the texts into tokens, in milliseconds."""
    infer_ms: float
    """Running the model, in milliseconds."""


class PredictResponse(Resource):
    """Predictions in the order of the inputs."""

    model: str
    """The model that answered."""
    version: int
    """The version that answered, whatever the reference was."""
    format: ServedFormat
    """The format of the version that answered."""
    predictions: list[Prediction]
    """One for each text, in the order of the inputs."""
    timing: Timing
    """Where the time went."""
