"""Knowledge distillation: a trained teacher, and how far the student follows it."""

from typing import Annotated

from pydantic import Field

from app.schemas.base import BASE_MODEL_PATTERN, LabelName, StrictModel


class DistillationOptions(StrictModel):
    """Learn from the answers of a larger model too (Hinton et al., 2015)."""

    teacher: Annotated[
        str, Field(pattern=BASE_MODEL_PATTERN, examples=["model:sentiment@champion", "org/large-sentiment-model"])
    ]
    """A trained classifier that knows the labels of the dataset: a version of our own, or a Hugging Face id."""
    revision: Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[1-9][0-9]{0,8})$")] | None = None
    """Commit of the hub, or number of the version; null: the newest, written here when the job is submitted."""
    labels: dict[LabelName, LabelName] = {}
    """What the teacher calls labels that it names differently: {"negative": "LABEL_0"}."""
    temperature: Annotated[float, Field(gt=0, le=100)] = 4.0
    """Both models' scores are divided by this: the higher, the more the student learns of what is nearly right."""
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Weight of the teacher's answers in the loss; the labels have the rest."""
