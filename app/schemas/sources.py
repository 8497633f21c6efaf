"""Sources: where a dataset can be imported from, and the record of where it did come from."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from app.schemas.base import LabelName, Resource, StrictModel
from app.schemas.datasets import ProblemType, SliceColumns, SplitName, SplitPolicy
from app.schemas.provenance import Provenance

TWITTER_DATASET = "cardiffnlp/tweet_sentiment_multilingual"
TRUSTPILOT_DATASET = "fancyzhx/amazon_polarity"

ImportStatus = Literal["queued", "running", "succeeded", "failed"]
IMPORT_ENDED: frozenset[ImportStatus] = frozenset({"succeeded", "failed"})

HubDatasetId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,95})?$"),
    Field(examples=["cardiffnlp/tweet_sentiment_multilingual"]),
]
HubConfig = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$"), Field(examples=["english"])
]
HubRevision = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}$"), Field(examples=["main"])
]
Column = Annotated[str, Field(min_length=1, max_length=200)]


class TableColumns(StrictModel):
    """Which columns of a table are text and label."""

    text_column: Column = "text"
    """Column with the texts."""
    label_column: Column = "label"
    """Column with the labels: one a row, or a list of them, which makes the dataset multi-label."""
    label_delimiter: Annotated[str, Field(min_length=1, max_length=5)] | None = None
    """What parts several labels of a row that are written as text, such as ``|``: then a row may have any number of
    labels, and the dataset is multi-label. null: text is one label."""
    label_names: list[LabelName] | dict[str, LabelName] | None = None
    """Names for the label values: a list (names of 0, 1, 2, ...; also the label order) or a mapping from value or
    class name; null: the class names that the dataset brings along, else the values themselves."""
    difficulty_column: Column | None = None
    """Column with a number a row for a curriculum; kept in the rows as ``difficulty``, and rows without a number are
    left out."""
    slice_columns: SliceColumns = []
    """Up to 5 columns of words that group the rows, such as source or language; kept with each row as in an upload."""
    split: SplitPolicy = SplitPolicy()
    """How training rows are divided where the source has no validation or test rows."""


class HubSource(TableColumns):
    """A dataset of the Hugging Face hub: its Parquet, JSON or CSV files, never its code."""

    source: Literal["hub"] = "hub"
    """A dataset of the hub."""
    dataset: HubDatasetId
    """Its id on the hub."""
    config: HubConfig | None = None
    """Configuration (subset) of the dataset; null: its only or default one."""
    revision: HubRevision | None = None
    """Branch, tag or commit; null: the newest, and where that holds only a script, the hub's conversion to Parquet."""
    splits: dict[SplitName, Column] | None = None
    """Our split by the name of the hub's split; null: train, validation (or dev, val, valid, eval) and test."""
    files_per_split: Annotated[int, Field(ge=1)] | None = None
    """Read only this many files of each split, the first ones; enough for a part of a very large dataset."""
    rows_per_split: Annotated[int, Field(ge=1)] | None = None
    """Keep only this many rows of each split, drawn at random with the seed of ``split``; null: all."""


class TwitterSource(StrictModel):
    """English tweets with the labels negative, neutral and positive: cardiffnlp/tweet_sentiment_multilingual."""

    source: Literal["twitter"] = "twitter"
    """The tweets recipe."""
    revision: HubRevision | None = None
    """Branch, tag or commit; null: the newest."""


class TrustpilotSource(StrictModel):
    """Reviews with the labels negative, neutral and positive, made from fancyzhx/amazon_polarity.

    That dataset has no neutral reviews. A neutral text here is the first sentence of a negative review and the first
    sentence of a positive one, in random order, of two reviews that are used nowhere else: mixed, not lukewarm.
    """

    source: Literal["trustpilot"] = "trustpilot"
    """The reviews recipe."""
    revision: HubRevision | None = None
    """Branch, tag or commit; null: the newest."""
    rows: Annotated[int, Field(ge=30, le=300_000)] = 10_000
    """Rows in all, a third of each label; 80 % train, 10 % validation, 10 % test."""
    synthetic_neutral: bool = True
    """False: only negative and positive, half each."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 42
    """Decides which rows are drawn."""


class ProcessedSource(TableColumns):
    """JSON Lines that are split already, in the folder that the operator set aside for them."""

    source: Literal["processed"] = "processed"
    """Files in the folder that the operator set aside."""
    path: Annotated[str, StringConstraints(pattern=r"^[\w.-]+(/[\w.-]+)*$", max_length=500)]
    """A folder with train.jsonl, validation.jsonl and test.jsonl, or one file whose rows name their ``split``."""


ImportSource = Annotated[HubSource | TwitterSource | TrustpilotSource | ProcessedSource, Field(discriminator="source")]


class ImportRequest(StrictModel):
    """Fetch a dataset from where it lies; a worker does it."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """A name for people."""
    from_: Annotated[ImportSource, Field(alias="from")]
    """Where it lies: ``source`` says which kind."""


class Import(Resource):
    """One fetch of a dataset, from request to dataset."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    id: str
    """Begins with ``imp_``."""
    status: ImportStatus
    """How far it is."""
    status_reason: str
    """One sentence for people: what is happening, or why it ended."""
    name: str | None
    """The name that the dataset gets."""
    from_: dict[str, Any] = Field(alias="from")
    """The source with every option written out."""
    attempt: int
    """How often a worker has begun it."""
    dataset_id: str | None
    """What it made; null unless it succeeded."""
    error: dict[str, Any] | None
    """Why it failed: code, category, detail, remedy."""
    created_at: datetime
    """When it was accepted."""
    started_at: datetime | None
    """When a worker first began it."""
    finished_at: datetime | None
    """When it ended."""
    links: dict[str, str]
    """Where to go from here."""


class ImportRecord(Provenance):
    """The same with what was written: a dataset's canonical rows, pinned by hash."""

    rows_sha256: str
    """Hash of the canonical rows."""
    bytes: int
    """Size of the canonical rows."""
    labels: list[str]
    """Label names, in the order of the source."""
    problem_type: ProblemType
    """multi_label: the rows have sets of labels."""
    has_difficulties: bool
    """Whether every row has a number that a curriculum can go by."""
    slices: dict[str, dict[str, int]] = {}
    """Rows by slice column and value."""
    counts: dict[SplitName, dict[str, int]]
    """Rows by split and label."""
    skipped: dict[str, int]
    """Rows that were left out, by reason."""
