"""The dialect of Hugging Face's text-classification: ``InferenceClient(model="URL/models/NAME")`` asks here."""

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response

from app.api import examples
from app.api.body import StrictRoute
from app.api.deps import ServicesDep
from app.api.facades.asking import Reference, ask, headers_of
from app.api.problems import documented
from app.api.routing import RoutingKeyHeader
from app.errors import FieldError, NotFound, Overloaded, PayloadTooLarge, Unavailable, Unprocessable
from app.schemas.facades import ClassificationRequest, LabelScore

router = APIRouter(tags=["Hugging Face dialect"], route_class=StrictRoute)


@router.post(
    "/models/{reference}",
    summary="Classify texts as Hugging Face does",
    response_model=list[list[LabelScore]],
    response_description="For each text its labels, most probable first.",
    responses=documented(NotFound, PayloadTooLarge, Unprocessable, Overloaded, Unavailable),
)
async def hugging_face_classify(
    request: Request,
    reference: Reference,
    body: Annotated[ClassificationRequest, Body(openapi_examples=examples.HUGGING_FACE)],
    services: ServicesDep,
    response: Response,
    _key: RoutingKeyHeader = None,
) -> list[list[LabelScore]]:
    """Answer the text-classification task of Hugging Face's inference API; `function_to_apply: none` is refused."""
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    wishes = body.parameters
    answer, manifest = await ask(request, services, reference, texts, top_k=None if wishes is None else wishes.top_k)
    function = "sigmoid" if manifest.problem_type == "multi_label" else "softmax"
    if wishes is not None and wishes.function_to_apply not in (None, function):
        raise _other_function(function)
    response.headers.update(headers_of(answer))
    return [
        [LabelScore(label=label, score=score) for label, score in (prediction.scores or {}).items()]
        for prediction in answer.predictions
    ]


def _other_function(function: str) -> Unprocessable:
    place = "/parameters/function_to_apply"
    return Unprocessable(
        f"{place} cannot be chosen: this version was trained with {function}.",
        code="unsupported-function",
        remedy=f"Leave it out, or send {function}.",
        errors=(FieldError(place, "unsupported-function", f"must be {function}", [function]),),
    )
