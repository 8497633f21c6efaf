"""The dialect of Text Embeddings Inference: a client's base URL is ``URL/tei/NAME``."""

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api import examples
from app.api.body import StrictRoute
from app.api.deps import Services, ServicesDep
from app.api.facades.asking import Reference, ask, headers_of, manifest_of
from app.api.problems import documented
from app.api.routing import RoutingKeyHeader
from app.errors import AppError, FieldError, NotFound, Overloaded, PayloadTooLarge, Unavailable, Unprocessable
from app.release import release
from app.schemas.facades import LabelScore, TeiClassifier, TeiInfo, TeiModelType, TeiRequest
from app.schemas.health import Alive
from app.store import models

router = APIRouter(tags=["Text Embeddings Inference dialect"], route_class=StrictRoute)

_DTYPES = {"onnx": "float32", "onnx-fp16": "float16", "onnx-int8": "int8"}
_UNREADY = documented(NotFound, Unprocessable, Unavailable)


@router.post(
    "/tei/{reference}/predict",
    summary="Classify texts as Text Embeddings Inference does",
    response_model=list[LabelScore] | list[list[LabelScore]],
    response_description="Labels, most probable first; of a list of texts a list for each.",
    responses=documented(NotFound, PayloadTooLarge, Unprocessable, Overloaded, Unavailable),
)
async def tei_predict(
    request: Request,
    reference: Reference,
    body: Annotated[TeiRequest, Body(openapi_examples=examples.TEI)],
    services: ServicesDep,
    response: Response,
    _key: RoutingKeyHeader = None,
) -> list[LabelScore] | list[list[LabelScore]]:
    """Answer as the `/predict` of Text Embeddings Inference; `raw_scores` and pairs of texts are refused."""
    texts, is_alone = _texts(body.inputs)
    answer, manifest = await ask(request, services, reference, texts)
    for prediction in answer.predictions:
        if prediction.truncated and not body.truncate:
            raise _too_long(prediction.tokens, manifest.tokenizer.max_length)
    response.headers.update(headers_of(answer))
    scores = [
        [LabelScore(label=label, score=score) for label, score in (prediction.scores or {}).items()]
        for prediction in answer.predictions
    ]
    return scores[0] if is_alone else scores


@router.get(
    "/tei/{reference}/info",
    summary="Describe a model as Text Embeddings Inference does",
    response_description="The version that the reference means now.",
    responses=_UNREADY,
)
async def tei_info(reference: Reference, services: ServicesDep) -> TeiInfo:
    """Tell the labels and limits of a version; it is loaded."""
    number, manifest = await manifest_of(services, reference)
    labels = manifest.labels
    return TeiInfo(
        model_id=f"{manifest.model}:{number}",
        model_sha=await run_in_threadpool(_sha, services, manifest.model, number),
        model_dtype=_DTYPES[manifest.serve],
        model_type=TeiModelType(
            classifier=TeiClassifier(
                id2label={str(index): label for index, label in enumerate(labels)},
                label2id={label: index for index, label in enumerate(labels)},
            )
        ),
        max_input_length=manifest.tokenizer.max_length,
        max_client_batch_size=services.settings.max_predict_texts,
        auto_truncate=False,
        version=release(),
    )


@router.get(
    "/tei/{reference}/health",
    summary="Can the model be asked? As Text Embeddings Inference says it",
    response_description="It can.",
    responses=_UNREADY,
)
async def tei_health(reference: Reference, services: ServicesDep) -> Alive:
    """Answer 200 when the model is loaded, or could be."""
    await manifest_of(services, reference)
    return Alive()


def _texts(inputs: str | list[str | list[str]]) -> tuple[list[str], bool]:
    """Give the texts, and whether it is one alone: a flat list of two is one pair in this dialect."""
    if isinstance(inputs, str):
        return [inputs], True
    if isinstance(inputs[0], str):
        if len(inputs) > 1:
            raise _pair("/inputs")
        return [inputs[0]], True
    texts = []
    for index, item in enumerate(inputs):
        if isinstance(item, str) or len(item) > 1:
            raise _pair(f"/inputs/{index}")
        texts.append(item[0])
    return texts, False


def _sha(services: Services, name: str, number: int) -> str:
    with services.database.transaction(read_only=True) as session:
        row = models.get_version(session, name, number)
        return "" if row is None else row.manifest_sha256


def _pair(place: str) -> AppError:
    return Unprocessable(
        f"{place} is a pair of texts, or one list inside and one outside: a version reads one text at a time.",
        code="text-pairs",
        remedy='Send several texts as [["the first"], ["the second"]].',
        errors=(FieldError(place, "text-pairs", "must be one text, or a list of lists of one text"),),
    )


def _too_long(tokens: int, most: int) -> AppError:
    return PayloadTooLarge(
        f"`inputs` must have at most {most} tokens. Given: {tokens}.",
        code="input-too-long",
        remedy="Shorten it, or send truncate: true.",
        extra={"limit": most},
    )
