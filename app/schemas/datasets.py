"""Datasets: immutable, hashed tables of text and label, split once for all jobs."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from app.schemas.base import LabelName, Resource, StrictModel

SplitName = Literal["train", "validation", "test"]
FileFormat = Literal["csv", "tsv", "jsonl", "json", "parquet"]


class SplitPolicy(StrictModel):
    """How rows without a split are divided: stratified by label, a pure function of the rows and the seed."""

    validation_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share held out for early stopping and model choice; used when the file has no validation rows."""
    test_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share held out for the final score; used when the file has no test rows. 0: no test split."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 42


class DatasetOptions(StrictModel):
    """How a file is to be read."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    text_column: Annotated[str, Field(min_length=1, max_length=200)] = "text"
    label_column: Annotated[str, Field(min_length=1, max_length=200)] = "label"
    split_column: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Column with train, validation (or dev, val, valid, eval) and test; null: the column ``split`` if there is one."""
    label_names: list[LabelName] | dict[str, LabelName] | None = None
    """Names for the label values of the file: a list (names of 0, 1, 2, ...; also the label order) or a mapping."""
    format: FileFormat | None = None
    """null: told from the content."""
    split: SplitPolicy = SplitPolicy()


class DatasetRow(StrictModel):
    """One example of a dataset sent as rows."""

    text: str
    label: str | int
    split: SplitName | None = None


class DatasetRows(DatasetOptions):
    """A small dataset sent in the body, instead of a file."""

    rows: Annotated[list[DatasetRow], Field(min_length=1)]


class SplitCounts(Resource):
    """Rows of one split, in total and by label."""

    total: int
    by_label: dict[str, int]


class TextLengths(Resource):
    """Length of the texts in characters."""

    p50: int
    p90: int
    p99: int
    max: int


class DataWarning(Resource):
    """Something a careful person would look at before spending a GPU on it."""

    code: str
    detail: str
    remedy: str | None = None


class DatasetProfile(Resource):
    """What can be known about a dataset before a GPU is touched."""

    labels: list[str]
    """Label names in index order."""
    splits: dict[SplitName, SplitCounts]
    text_lengths: TextLengths
    duplicates: int
    """Rows whose text occurs earlier in the file."""
    majority_baseline: float
    """Accuracy of always answering the commonest training label, on the validation split."""
    warnings: list[DataWarning]


class StoredRow(Resource):
    """One example as jobs see it."""

    text: str
    label: str
    split: SplitName


class Dataset(Resource):
    """One immutable dataset."""

    id: str
    name: str | None
    sha256: str
    """Hash of the canonical rows: equal data has an equal hash."""
    bytes: int
    rows: int
    format: FileFormat | Literal["rows"]
    labels: list[str]
    counts: dict[SplitName, int]
    profile: DatasetProfile
    created_at: datetime
    links: dict[str, str]
