"""Predictions over HTTP; the hot path: one parse, one validation, no SQL, no thread of its own."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Response

from app.api import examples
from app.api.body import StrictRoute
from app.api.deps import Services, ServicesDep
from app.api.problems import documented
from app.errors import (
    AppError,
    FieldError,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    Unavailable,
    Unprocessable,
)
from app.schemas.predictions import MODEL_REFERENCE_PATTERN, PredictInputs, PredictRequest, PredictResponse
from app.settings import Settings
from app.telemetry import PREDICT_REQUESTS

router = APIRouter(tags=["Predictions"], route_class=StrictRoute)

_ANSWER = "One prediction for each text, in their order."
_PROBLEMS = documented(NotFound, PayloadTooLarge, Unprocessable, Overloaded, Unavailable)


@router.post(
    "/predict",
    summary="Classify texts",
    response_model=PredictResponse,
    response_description=_ANSWER,
    responses=_PROBLEMS,
)
async def predict(
    body: Annotated[PredictRequest, Body(openapi_examples=examples.PREDICT)], services: ServicesDep
) -> Response:
    """Classify one text or several with a version of a model: `name`, `name@alias` or `name:version`.

    A plain name means the alias `champion` if it is set, else the newest version. When more work waits than can be
    done in time, the answer is 429 with `Retry-After`, at once.
    """
    return await _predict(services, body)


@router.post(
    "/models/{reference}/predict",
    summary="Classify texts with this model",
    response_model=PredictResponse,
    response_description=_ANSWER,
    responses=_PROBLEMS,
)
async def predict_with_model(
    reference: Annotated[
        str,
        Path(
            pattern=MODEL_REFERENCE_PATTERN,
            description="NAME, NAME@ALIAS or NAME:VERSION.",
            examples=["sentiment@champion"],
        ),
    ],
    body: Annotated[PredictInputs, Body(openapi_examples=examples.PREDICT_NAMED)],
    services: ServicesDep,
) -> Response:
    """Do as `POST /predict` does, with the model in the path."""
    request = PredictRequest.model_construct(
        model=reference,
        inputs=body.inputs,
        top_k=body.top_k,
        return_all_scores=body.return_all_scores,
        prefer=body.prefer,
    )
    return await _predict(services, request)


async def _predict(services: Services, request: PredictRequest) -> Response:
    _check_size(request.inputs, services.settings)
    try:
        answer = await services.predictions.predict(request)
    except AppError as error:
        # The reference is a client's word: only names that exist may become label values.
        PREDICT_REQUESTS.labels(model="", version="", code=error.code).inc()
        raise
    PREDICT_REQUESTS.labels(model=answer.model, version=answer.version, code="ok").inc()
    timing = answer.timing
    return Response(
        answer.model_dump_json(),
        media_type="application/json",
        headers={
            "X-Model-Version": f"{answer.model}:{answer.version}",
            "Server-Timing": f"queue;dur={timing.queue_ms:.2f}, tokenize;dur={timing.tokenize_ms:.2f}, "
            f"infer;dur={timing.infer_ms:.2f}",
        },
    )


def _check_size(inputs: str | list[str], settings: Settings) -> None:
    texts = [inputs] if isinstance(inputs, str) else inputs
    if len(texts) > settings.max_predict_texts:
        raise PayloadTooLarge(
            f"{len(texts)} texts are more than the {settings.max_predict_texts} that one request may have.",
            code="too-many-texts",
            remedy="Send them in several requests.",
            extra={"limit": settings.max_predict_texts},
        )
    for index, text in enumerate(texts):
        if len(text) > settings.max_predict_chars:
            place = "/inputs" if isinstance(inputs, str) else f"/inputs/{index}"
            raise Unprocessable(
                f"{place} has {len(text)} characters; at most {settings.max_predict_chars} are allowed.",
                code="text-too-long",
                remedy="Shorten it: even a model for long documents reads some ten thousand words at most.",
                errors=(
                    FieldError(place, "text-too-long", f"must have at most {settings.max_predict_chars} characters"),
                ),
            )
