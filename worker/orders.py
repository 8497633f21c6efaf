"""What the training process tells those that help it: an assignment first, then one order after another, as JSON lines.

Only the process that leads decides anything. The others have no opinion on when to stop, to save or to give up; they
end when their orders do.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from app.schemas.hyperparameters import ResolvedHyperparameters
from app.schemas.text import TokenizerSettings
from worker.events import AttemptSpec, Message


class Assignment(Message):
    """Everything a helper needs to be ready for the first step."""

    rank: int
    """From 1; 0 leads."""
    size: int
    """Processes in all."""
    meeting: Path
    """File by which they find each other."""
    spec: AttemptSpec
    folder: Path
    """Where the leader has put the network and the training rows."""
    hyperparameters: ResolvedHyperparameters
    settings: TokenizerSettings
    tokenizer: Path
    total_steps: int
    packed: bool
    """Whether the network is called without padding."""
    threads: int


class Begin(Message):
    """Training begins, anew or from a checkpoint; the leader's weights follow."""

    type: Literal["begin"] = "begin"
    resumed_from: Path | None
    step: int


class Make(Message):
    """Take part in an optimizer step."""

    type: Literal["make"] = "make"
    rows: list[list[int]]
    """Of each batch of the window: those of all."""
    finished: int
    """Steps before this one."""
    epoch: int
    parts: int
    """How many parts memory makes of a batch."""
    recomputes: bool
    """Whether activations are computed twice."""


class Show(Message):
    """Tell the leader where your random generators stand."""

    type: Literal["show"] = "show"


Order = Begin | Make | Show
_ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="type")])


def parse_order(line: bytes) -> Order:
    """Read one line of the leader. Raises pydantic.ValidationError when it is no order."""
    return _ORDER.validate_json(line)
