"""Logged answers, and what their readers say of them."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from app.schemas.base import LabelName, Resource, StrictModel


class Feedback(StrictModel):
    """What the right answer was."""

    label: LabelName | None = None
    """The right label, where a text has one."""
    labels: Annotated[list[LabelName], Field(max_length=1000)] | None = None
    """All right labels, of a version that gives any number of them; an empty list: none is right."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.label is None) == (self.labels is None):
            raise ValueError("send label, or labels for a version that gives any number of them")
        return self


class LoggedPrediction(Resource):
    """An answer that was logged, with what was said of it."""

    id: str
    """Its id, as the answer had it."""
    model: str
    """The model that was asked."""
    alias: str
    """The alias that was asked."""
    version: int
    """The version that answered."""
    at: datetime
    """When it answered."""
    label: str
    """The most probable label."""
    labels: list[str] | None
    """Of a multi-label version: every label that was given."""
    score: float
    """The probability of ``label``, 0 to 1."""
    tokens: int
    """Tokens that the text has, special tokens included, before truncation."""
    text: str | None
    """The text as it was kept, usually redacted; null: it was not kept."""
    expires_at: datetime
    """When it will be forgotten."""
    truth: list[str] | None
    """The right labels, as the last feedback has them; null: nothing was said."""
    right: bool | None
    """Whether the answer was right; null: nothing was said."""
    feedback_at: datetime | None
    """When that was said."""
