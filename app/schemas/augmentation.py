"""Augmentation: how many altered copies of the training texts are added, and how they are altered."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.schemas.base import Auto, StrictModel

AugmentationTechnique = Literal["synonym_replacement", "random_insertion", "random_swap", "random_deletion"]

LanguageCode = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$"),
    Field(description="Language of a word list, as its file is named.", examples=["en", "ne"]),
]


class AugmentationOptions(StrictModel):
    """Easy data augmentation (Wei and Zou, 2019), of the training split only; labels stay as they are."""

    enabled: bool = True
    """False: keep these options, add no copies."""
    techniques: Annotated[list[AugmentationTechnique], Field(min_length=1, max_length=4)] = [
        "synonym_replacement",
        "random_insertion",
        "random_swap",
        "random_deletion",
    ]
    """Each copy is altered by one of them, drawn at random; where it cannot alter the text, by another one."""
    probability: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Share of a text's words that are replaced, inserted or swapped (one at least); chance of each to be deleted."""
    augmentation_factor: Annotated[int, Field(ge=1, le=10)] = 1
    """Altered copies added for each training row."""
    language: LanguageCode | Auto = "auto"
    """Word list for synonyms; auto: told from each text, and no synonyms where no list fits its language."""
