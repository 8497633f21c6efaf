"""Predictions over HTTP; the hot path: one parse, one validation, no SQL, no thread of its own."""

import time
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response
from pydantic import TypeAdapter

from app.api import examples
from app.api.body import Handler, StrictRoute, read_json, refuse_unknown_parameters
from app.api.deadline import DeadlineMs, arrival_of, deadline_of
from app.api.departure import unless_gone
from app.api.deps import Services, ServicesDep
from app.api.problems import documented
from app.api.routing import RoutingKeyHeader, caller_of
from app.errors import (
    AppError,
    DeadlineExceeded,
    FieldError,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    Unavailable,
    Unprocessable,
)
from app.preflight import fields
from app.schemas.predictions import MODEL_REFERENCE_PATTERN, PredictInputs, PredictRequest, PredictResponse
from app.settings import Settings
from app.telemetry import PREDICT_REQUESTS


class DirectRoute(StrictRoute):
    """A route whose endpoint is called without the framework's machinery, which costs more than all the rest.

    Its endpoint takes ``request``, ``body`` and ``services`` and does not depend on anything else; the
    signature is what the OpenAPI page is made from.
    """

    def get_route_handler(self) -> Handler:
        """Read and check what the endpoint takes as the framework's handler would."""

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                refuse_unknown_parameters(request, frozenset())
            body = fields.validate(PredictRequest, await read_json(request))
            services: Services = request.app.state.services
            answer: Response = await self.endpoint(request, body, services)
            return answer

        return handle


direct = APIRouter(tags=["Predictions"], route_class=DirectRoute)
router = APIRouter(tags=["Predictions"], route_class=StrictRoute)

_WRITER = TypeAdapter(PredictResponse)
_ANSWER = "One prediction for each text, in their order."
_PROBLEMS = documented(NotFound, PayloadTooLarge, Unprocessable, Overloaded, Unavailable, DeadlineExceeded)


@direct.post(
    "/predict",
    summary="Classify texts",
    response_model=PredictResponse,
    response_description=_ANSWER,
    responses=_PROBLEMS,
)
async def predict(
    request: Request,
    body: Annotated[PredictRequest, Body(openapi_examples=examples.PREDICT)],
    services: ServicesDep,
    _deadline: DeadlineMs = None,
    _key: RoutingKeyHeader = None,
) -> Response:
    """Classify one text or several with a version of a model: `name`, `name@alias` or `name:version`.

    A plain name means the alias `champion` if it is set, else the newest version. When more work waits than can be
    done in time, the answer is 429 with `Retry-After`, before the texts are read.
    """
    return await _predict(request, services, body)


@router.post(
    "/models/{reference}/predict",
    summary="Classify texts with this model",
    response_model=PredictResponse,
    response_description=_ANSWER,
    responses=_PROBLEMS,
)
async def predict_with_model(
    request: Request,
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
    _deadline: DeadlineMs = None,
    _key: RoutingKeyHeader = None,
) -> Response:
    """Do as `POST /predict` does, with the model in the path."""
    named = PredictRequest.model_construct(
        model=reference,
        inputs=body.inputs,
        top_k=body.top_k,
        return_all_scores=body.return_all_scores,
        prefer=body.prefer,
        routing_key=body.routing_key,
    )
    return await _predict(request, services, named)


async def answered(request: Request, services: Services, wanted: PredictRequest) -> PredictResponse:
    """Classify within the limits, by the deadline, while the caller is there, whatever dialect was spoken; count it."""
    try:
        deadline = deadline_of(request)
        _check_size(wanted.inputs, services.settings)
        asked = services.predictions.predict(
            wanted, arrived=arrival_of(request), deadline=deadline, caller=partial(caller_of, request, wanted)
        )
        return await unless_gone(request, asked)
    except AppError as error:
        # The reference is a client's word: only names that exist may become label values.
        PREDICT_REQUESTS.labels("", "", error.code).inc()
        raise


async def _predict(request: Request, services: Services, body: PredictRequest) -> Response:
    return _Written(await answered(request, services, body), arrival_of(request))


class _Written(Response):
    """An answer whose headers are written as they are sent: the framework would go over each of them."""

    def __init__(self, answer: PredictResponse, arrived: float) -> None:
        timing, total_ms = answer.timing, (time.perf_counter() - arrived) * 1e3
        spent = (
            f"total;dur={total_ms:.2f}, queue;dur={timing.queue_ms:.2f}, "
            f"tokenize;dur={timing.tokenize_ms:.2f}, infer;dur={timing.infer_ms:.2f}"
        )
        self.status_code, self.background, self.body = 200, None, _WRITER.dump_json(answer)
        self.raw_headers = [
            (b"content-length", str(len(self.body)).encode()),
            (b"content-type", b"application/json"),
            (b"x-model-version", f"{answer.model}:{answer.version}".encode()),
            (b"server-timing", spent.encode()),
        ]


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
