"""What every model family makes of a job: the seam between the families and all that trains, exports and verifies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from app.errors import JobFailure
from app.schemas.datasets import ProblemType
from app.schemas.text import TextOptions
from worker.heads import Head


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a family may need to make its model."""

    labels: Sequence[str]
    """Label names in the order of the logits."""
    problem_type: ProblemType
    base: Path | None
    """Folder of the base model; None when the job has none."""
    texts: Sequence[str]
    """Of the training split, for those who learn a tokenizer from them."""
    text: TextOptions
    scratch: Path
    """Folder for files that the model needs and nobody else has."""
    check: Callable[[], None]
    """To be called now and then; may raise to stop."""
    heads: Sequence[Head] = ()
    """Which logits are which task's, where there are several tasks."""

    def required_base(self) -> Path:
        """Give the folder of the base model. Raises JobFailure ``base-model-required``."""
        if self.base is None:
            raise JobFailure(
                detail="This family starts from a base model, and the job has none.",
                code="base-model-required",
                remedy="Name one in base_model.",
            )
        return self.base


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to be trained: fp32, on the CPU, its logits in the order of the labels."""

    model: PreTrainedModel
    head_kept: bool
    """The head was trained on these labels before."""


@dataclass(frozen=True, slots=True)
class Network:
    """A model and its tokenizer.

    The model is one of transformers, if only in its clothes: ``config`` says how long a text may be, what fills it up
    and how many ids there are, ``base_model_prefix`` tells the head from the rest. It is called with what
    ``TextEncoder.feed`` gives, by name, and answers with ``logits``, (batch, labels).
    """

    model: PreTrainedModel
    tokenizer: Path
    """Its ``tokenizer.json``."""
    head_kept: bool
