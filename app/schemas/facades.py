"""What clients of other services send and are answered; the names are theirs."""

from typing import Annotated, Any, Literal

from pydantic import Field

from app.schemas.base import Resource, StrictModel


class LabelScore(Resource):
    """A label and its probability."""

    label: str
    """The label."""
    score: float
    """Its probability, 0 to 1."""


class ClassificationParameters(StrictModel):
    """How a Hugging Face client wants its answer."""

    top_k: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Give only the k most probable labels; null: all of them."""
    function_to_apply: Literal["softmax", "sigmoid"] | None = None
    """What makes probabilities of scores. The version decides: softmax for one label a text, sigmoid for any number of
    them; naming the other one is refused."""


class ClassificationRequest(StrictModel):
    """Texts to classify, as a Hugging Face client sends them."""

    inputs: str | Annotated[list[str], Field(min_length=1)]
    """One text, or a list of texts."""
    parameters: ClassificationParameters | None = None
    """How to answer."""


class TeiNothing(StrictModel):
    """Nothing: some clients send an empty object."""


class TeiRequest(StrictModel):
    """Texts to classify, as a client of Text Embeddings Inference sends them."""

    inputs: str | Annotated[list[str | Annotated[list[str], Field(min_length=1)]], Field(min_length=1)]
    """One text, or a list of texts, each by itself or in a list of its own."""
    raw_scores: Literal[False] = False
    """Must be false: probabilities are what is answered."""
    truncate: bool = False
    """Whether a text that is longer than the version reads may be cut; else it is refused."""
    truncation_direction: Literal["Left", "Right"] | None = None
    """Taken, and of no effect: how a text is cut was decided when the version was trained (``long_text``)."""
    parameters: TeiNothing | None = None
    """Nothing."""


class TeiClassifier(Resource):
    """The labels of a classifier."""

    id2label: dict[str, str]
    """Labels by their number."""
    label2id: dict[str, int]
    """Their numbers by label."""


class TeiModelType(Resource):
    """What kind of model it is: always a classifier."""

    classifier: TeiClassifier
    """Its labels."""


class TeiInfo(Resource):
    """A version as Text Embeddings Inference would tell of it."""

    model_id: str
    """Name and version."""
    model_sha: str
    """The hash of the version's manifest."""
    model_dtype: str
    """float32, float16 or int8."""
    model_type: TeiModelType
    """The labels."""
    max_input_length: int
    """Tokens that the version reads of a text."""
    max_client_batch_size: int
    """Most texts of one request."""
    auto_truncate: bool
    """Whether longer texts are cut unasked: false."""
    version: str
    """The version of this service."""


class ServerMetadata(Resource):
    """The service in the words of the Open Inference Protocol."""

    name: str
    """tunesmith"""
    version: str
    """The version of the service."""
    extensions: list[str]
    """What it can do besides: tensors as bytes behind the JSON."""


class ServerLive(Resource):
    """The process is alive."""

    live: bool
    """true"""


class ServerReady(Resource):
    """Requests can be served."""

    ready: bool
    """true"""


class ModelReady(Resource):
    """The model can be asked."""

    name: str
    """The model."""
    ready: bool
    """true"""


class TensorMetadata(Resource):
    """An input or output of a model."""

    name: str
    """Its name."""
    datatype: str
    """BYTES or FP32."""
    shape: list[int]
    """Its dimensions; -1: as many as there are texts."""


class ModelMetadata(Resource):
    """A model in the words of the Open Inference Protocol."""

    name: str
    """The name it was asked for by."""
    versions: list[str]
    """All its versions, newest first."""
    platform: str
    """What runs it."""
    inputs: list[TensorMetadata]
    """``text``: one text for each element."""
    outputs: list[TensorMetadata]
    """``label``, its ``score``, the ``probabilities`` of all labels, and ``prediction_id`` for feedback."""
    labels: list[str]
    """The labels in the order of ``probabilities``."""


class InferInput(StrictModel):
    """The texts of a request."""

    name: Literal["text"]
    """text"""
    datatype: Literal["BYTES"]
    """BYTES"""
    shape: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=2)]
    """[n] or [n, 1]."""
    data: list[Any] | None = None
    """The texts; left out when they follow the JSON as bytes."""
    parameters: dict[str, Any] = {}
    """``binary_data_size``: bytes behind the JSON that hold the texts."""


class InferRequestedOutput(StrictModel):
    """An output that is wanted."""

    name: Literal["label", "score", "probabilities", "prediction_id"]
    """label, score, probabilities, or prediction_id: the id of each logged answer, for feedback; empty for others."""
    parameters: dict[str, Any] = {}
    """``binary_data``: true: as bytes behind the JSON."""


class InferRequest(StrictModel):
    """A request of the Open Inference Protocol."""

    id: Annotated[str, Field(max_length=255)] | None = None
    """A name of your own, which the answer repeats."""
    inputs: Annotated[list[InferInput], Field(min_length=1, max_length=1)]
    """One input, ``text``."""
    outputs: list[InferRequestedOutput] = []
    """What is wanted; none: label, score and probabilities."""
    parameters: dict[str, Any] = {}
    """``binary_data_output``: true: all outputs as bytes behind the JSON."""


class InferOutput(Resource):
    """One output of an answer."""

    name: str
    """label, score, probabilities or prediction_id."""
    datatype: str
    """BYTES or FP32."""
    shape: list[int]
    """Its dimensions."""
    data: list[Any] | None = None
    """The values, row by row; left out when they follow the JSON as bytes."""
    parameters: dict[str, int] | None = None
    """``binary_data_size``: its bytes behind the JSON."""


class InferResponse(Resource):
    """An answer of the Open Inference Protocol."""

    model_name: str
    """The model that answered."""
    model_version: str
    """The version that answered."""
    id: str | None = None
    """The name that the request gave itself."""
    outputs: list[InferOutput]
    """What was wanted, in its order."""
