"""Datasets: immutable, hashed tables of text and label, split once for all jobs."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from app.schemas.base import LabelName, Resource, StrictModel
from app.schemas.provenance import Provenance

SplitName = Literal["train", "validation", "test"]
ProblemType = Literal["single_label", "multi_label"]
FileFormat = Literal["csv", "tsv", "jsonl", "json", "parquet"]


SliceColumn = Annotated[str, Field(min_length=1, max_length=200, pattern="^[^=]+$")]


def _each_once(columns: list[str]) -> list[str]:
    if len(set(columns)) < len(columns):
        raise ValueError("a column is named twice; name each once")
    if "length" in columns:
        raise ValueError("length is what slices by the length of texts are called; give the column another name")
    return columns


SliceColumns = Annotated[list[SliceColumn], Field(max_length=5), AfterValidator(_each_once)]


class SplitPolicy(StrictModel):
    """How rows without a split are divided: stratified by label, a pure function of the rows and the seed."""

    validation_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share held out for early stopping and model choice; used when the file has no validation rows."""
    test_fraction: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Share held out for the final score; used when the file has no test rows. 0: no test split."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 42
    """Another seed divides the same rows another way."""


class DatasetOptions(StrictModel):
    """How a file is to be read."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """A name for people."""
    text_column: Annotated[str, Field(min_length=1, max_length=200)] = "text"
    """Column with the texts."""
    label_column: Annotated[str, Field(min_length=1, max_length=200)] = "label"
    """Column with the labels."""
    split_column: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Column with train, validation (or dev, val, valid, eval) and test; null: the column ``split`` if there is one."""
    label_delimiter: Annotated[str, Field(min_length=1, max_length=5)] | None = None
    """What parts several labels of a row, such as ``|``: then a row may have any number of labels, and the dataset is
    multi-label. A column of lists (JSON, Parquet) needs none. null: a row has one label."""
    difficulty_column: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Column with a number for each row, greater is harder, for jobs with a curriculum by difficulty column; null: none
    is kept."""
    slice_columns: SliceColumns = []
    """Up to 5 columns of words that group the rows, such as source or language: kept with each row, so that versions
    are judged on each group by itself, and policies may ask for a score on it. ``length`` is made from the texts and
    not a name for one. At most 50 different values a column; a row without one is in no group."""
    label_names: list[LabelName] | dict[str, LabelName] | None = None
    """Names for the label values of the file: a list (names of 0, 1, 2, ...; also the label order) or a mapping."""
    format: FileFormat | None = None
    """null: told from the content."""
    split: SplitPolicy = SplitPolicy()
    """How rows without a split are divided."""


class DatasetRow(StrictModel):
    """One example of a dataset sent as rows."""

    text: str
    """The text to classify; it must not be empty."""
    label: str | int | list[str | int]
    """Its label: a name, or an integer; a list of them, also an empty one, in a multi-label dataset."""
    split: SplitName | None = None
    """Where it belongs; null: it is decided by the split policy."""
    difficulty: float | None = None
    """How hard it is; kept when difficulty_column says ``difficulty``."""


class DatasetRows(DatasetOptions):
    """A small dataset sent in the body, instead of a file."""

    rows: Annotated[list[DatasetRow], Field(min_length=1)]
    """The rows. All of them give a split, or none."""


class SplitCounts(Resource):
    """Rows of one split, in total and by label."""

    total: int
    """Rows."""
    by_label: dict[str, int]
    """Rows by label."""

    def groups(self) -> dict[str, int]:
        """Give the rows by label where each row has one; else all of them together."""
        return self.by_label if sum(self.by_label.values()) == self.total else {"": self.total}


class TextLengths(Resource):
    """Length of the texts in characters."""

    p50: int
    """Half of the texts have at most this many characters."""
    p90: int
    """90 % of the texts have at most this many."""
    p99: int
    """99 % of the texts have at most this many."""
    max: int
    """The longest text."""


class DataWarning(Resource):
    """Something a careful person would look at before spending a GPU on it."""

    code: str
    """What was found, for programs: stable."""
    detail: str
    """What was found, for people."""
    remedy: str | None = None
    """What to do about it."""


class DatasetProfile(Resource):
    """What can be known about a dataset before a GPU is touched."""

    labels: list[str]
    """Label names in index order."""
    problem_type: ProblemType = "single_label"
    """multi_label: a row may have any number of labels."""
    splits: dict[SplitName, SplitCounts]
    """Rows by split and label."""
    text_lengths: TextLengths
    """How long the texts are."""
    duplicates: int
    """Rows whose text occurs earlier in the file."""
    majority_baseline: float
    """Accuracy of always answering the commonest training label (set of labels), on the validation split."""
    has_difficulties: bool = False
    """Whether each row has a number that a curriculum can go by."""
    slices: dict[str, dict[str, int]] = {}
    """Rows of all splits by slice column and value, the commonest first."""
    warnings: list[DataWarning]
    """What a careful person would look at first."""


class StoredRow(Resource):
    """One example as jobs see it."""

    text: str
    """The text."""
    label: str | None = None
    """The name of its label; null in a multi-label dataset."""
    labels: list[str] | None = None
    """The names of its labels, in a multi-label dataset."""
    split: SplitName
    """The split it belongs to."""
    difficulty: float | None = None
    """How hard it is, if the dataset was uploaded with a difficulty_column."""
    slices: dict[str, str] | None = None
    """Its values by column, if the dataset was uploaded with slice_columns."""


class Dataset(Resource):
    """One immutable dataset."""

    id: str
    """What jobs refer to as `dataset_id`."""
    name: str | None
    """A name for people."""
    sha256: str
    """Hash of the canonical rows: equal data has an equal hash."""
    bytes: int
    """Size of the canonical rows."""
    rows: int
    """Rows of all splits."""
    format: FileFormat | Literal["rows", "import"]
    """What it was uploaded as."""
    labels: list[str]
    """Label names in index order."""
    counts: dict[SplitName, int]
    """Rows by split."""
    profile: DatasetProfile
    """What can be known before a GPU is touched."""
    provenance: Provenance | None = None
    """Where the rows of an imported dataset came from; null: they were uploaded."""
    created_at: datetime
    """When it was stored."""
    links: dict[str, str]
    """Where to go from here."""
