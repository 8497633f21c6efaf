"""The dialect of the Open Inference Protocol v2, which clients of Triton and KServe speak."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api import health, request_bodies
from app.api.body import StrictRoute, read_bytes
from app.api.deps import Services, ServicesDep
from app.api.facades.asking import Reference, ask, headers_of, manifest_of
from app.api.facades.tensors import BINARY_SIZE, invalid, numbers, texts_of, words
from app.api.problems import documented
from app.api.routing import RoutingKeyHeader
from app.artifacts.bundle import Manifest
from app.errors import AppError, NotFound, Overloaded, PayloadTooLarge, Unavailable, Unprocessable
from app.preflight import fields, strict_json
from app.release import release
from app.schemas.facades import (
    InferOutput,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    TensorMetadata,
)
from app.schemas.predictions import PredictResponse
from app.store import models

router = APIRouter(prefix="/v2", tags=["Open Inference dialect"], route_class=StrictRoute)

JSON_LENGTH = "Inference-Header-Content-Length"
_OUTPUTS = ("label", "score", "probabilities")
"""What is answered unasked; ``prediction_id`` only to those who want to give feedback."""
_UNREADY = documented(NotFound, Unprocessable, Unavailable)
_PROBLEMS = documented(NotFound, PayloadTooLarge, Unprocessable, Overloaded, Unavailable)
_INFER: dict[str, Any] = {
    "response_model": InferResponse,
    "response_model_exclude_none": True,
    "response_description": "The outputs that were asked for: as JSON, or as bytes behind it.",
    "responses": _PROBLEMS,
    "openapi_extra": {"requestBody": request_bodies.INFER},
}

Number = Annotated[int, Path(ge=1, le=models.MAX_VERSION, description="The number of the version.", examples=[3])]
JsonLength = Annotated[
    int | None, Header(alias=JSON_LENGTH, ge=0, description="Bytes of JSON in a body that goes on with tensors.")
]


@router.get("", summary="Describe the service", response_description="Its name and version.")
async def oip_server() -> ServerMetadata:
    """Tell name and version of the service, and that tensors may be bytes."""
    return ServerMetadata(name="tunesmith", version=release(), extensions=["binary_tensor_data"])


@router.get("/health/live", summary="Is the process alive?", response_description="It is.")
async def oip_live() -> ServerLive:
    """Answer as `GET /healthz` does."""
    return ServerLive(live=True)


@router.get(
    "/health/ready",
    summary="Can requests be served?",
    response_description="They can.",
    responses=documented(Unavailable),
)
def oip_ready(services: ServicesDep) -> ServerReady:
    """Answer as `GET /readyz` does: 503 where the database is away or its schema old."""
    health.readyz(services)
    return ServerReady(ready=True)


@router.get("/models/{reference}", summary="Describe a model", response_description="The model.", responses=_UNREADY)
async def oip_model(reference: Reference, services: ServicesDep) -> ModelMetadata:
    """Tell inputs, outputs and labels of the version that a reference means now; it is loaded."""
    return await _metadata(services, reference, reference)


@router.get(
    "/models/{name}/versions/{version}",
    summary="Describe a version",
    response_description="The version.",
    responses=_UNREADY,
)
async def oip_version(name: Reference, version: Number, services: ServicesDep) -> ModelMetadata:
    """Tell inputs, outputs and labels of a version; it is loaded."""
    return await _metadata(services, name, _pinned(name, version))


@router.get(
    "/models/{reference}/ready",
    summary="Can the model be asked?",
    response_description="It can.",
    responses=_UNREADY,
)
async def oip_model_ready(reference: Reference, services: ServicesDep) -> ModelReady:
    """Answer 200 when the model is loaded, or could be."""
    await manifest_of(services, reference)
    return ModelReady(name=reference, ready=True)


@router.get(
    "/models/{name}/versions/{version}/ready",
    summary="Can the version be asked?",
    response_description="It can.",
    responses=_UNREADY,
)
async def oip_version_ready(name: Reference, version: Number, services: ServicesDep) -> ModelReady:
    """Answer 200 when the version is loaded, or could be."""
    await manifest_of(services, _pinned(name, version))
    return ModelReady(name=name, ready=True)


@router.post("/models/{reference}/infer", summary="Classify texts as Triton or KServe do", **_INFER)
async def oip_infer(
    request: Request,
    reference: Reference,
    services: ServicesDep,
    json_length: JsonLength = None,
    _key: RoutingKeyHeader = None,
) -> Response:
    """Classify the texts of the input `text`; outputs are `label`, `score` and `probabilities` of all labels.

    `prediction_id`, if it is asked for, is the id of each answer that was logged, for feedback; of others it is empty.
    """
    return await _infer(request, services, reference, json_length)


@router.post("/models/{name}/versions/{version}/infer", summary="Classify texts with this version", **_INFER)
async def oip_infer_version(
    request: Request, name: Reference, version: Number, services: ServicesDep, json_length: JsonLength = None
) -> Response:
    """Do the same with the version in the path."""
    return await _infer(request, services, _pinned(name, version), json_length)


async def _infer(request: Request, services: Services, reference: str, json_length: int | None) -> Response:
    body = await read_bytes(request, services.settings.max_body_bytes)
    head = body if json_length is None else body[:json_length]
    wanted = fields.validate(InferRequest, strict_json.parse(head) if head.strip() else None)
    as_bytes = _binary(wanted)
    answer, manifest = await ask(request, services, reference, texts_of(wanted.inputs[0], body[len(head) :]))
    outputs, tensors = [], []
    for name, is_binary in as_bytes.items():
        output, data = _output(name, answer, manifest)
        if is_binary:
            output.data, output.parameters = None, {BINARY_SIZE: len(data)}
            tensors.append(data)
        outputs.append(output)
    told = InferResponse(
        model_name=answer.model, model_version=str(answer.version), id=wanted.id, outputs=outputs
    ).model_dump_json(exclude_none=True)
    headers = headers_of(answer)
    if not any(as_bytes.values()):
        return Response(told, media_type="application/json", headers=headers)
    first = told.encode()
    headers[JSON_LENGTH] = str(len(first))
    return Response(first + b"".join(tensors), media_type="application/octet-stream", headers=headers)


def _binary(wanted: InferRequest) -> dict[str, bool]:
    """Tell which outputs are wanted, in their order, and whether as bytes. Raises Unprocessable ``invalid-tensor``."""
    by_default = _flag(wanted.parameters, "binary_data_output", "/parameters")
    if not wanted.outputs:
        return dict.fromkeys(_OUTPUTS, by_default)
    return {
        output.name: _flag(output.parameters, "binary_data", f"/outputs/{index}/parameters", by_default)
        for index, output in enumerate(wanted.outputs)
    }


def _flag(parameters: dict[str, object], name: str, place: str, otherwise: bool = False) -> bool:
    for other in parameters:
        if other != name:
            raise invalid(f"{place}/{other[:100]}", f"is not known here; only {name} is")
    value = parameters.get(name, otherwise)
    if not isinstance(value, bool):
        raise invalid(f"{place}/{name}", "must be true or false")
    return value


def _output(name: str, answer: PredictResponse, manifest: Manifest) -> tuple[InferOutput, bytes]:
    if name == "label":
        return words(name, [prediction.label for prediction in answer.predictions])
    if name == "prediction_id":
        return words(name, [prediction.id or "" for prediction in answer.predictions])
    if name == "score":
        return numbers(name, [prediction.score for prediction in answer.predictions])
    rows = [[(prediction.scores or {})[label] for label in manifest.labels] for prediction in answer.predictions]
    return numbers(name, rows)


async def _metadata(services: Services, name: str, reference: str) -> ModelMetadata:
    _, manifest = await manifest_of(services, reference)
    return ModelMetadata(
        name=name,
        versions=await run_in_threadpool(_versions, services, manifest.model),
        platform="onnxruntime_onnx",
        inputs=[TensorMetadata(name="text", datatype="BYTES", shape=[-1])],
        outputs=[
            TensorMetadata(name="label", datatype="BYTES", shape=[-1]),
            TensorMetadata(name="score", datatype="FP32", shape=[-1]),
            TensorMetadata(name="probabilities", datatype="FP32", shape=[-1, len(manifest.labels)]),
            TensorMetadata(name="prediction_id", datatype="BYTES", shape=[-1]),
        ],
        labels=manifest.labels,
    )


def _versions(services: Services, model: str) -> list[str]:
    with services.database.transaction(read_only=True) as session:
        return [str(row.version) for row in models.versions(session, model)]


def _pinned(name: str, version: int) -> str:
    """Refer to a version. Raises Unprocessable where the name already says which."""
    if "@" in name or ":" in name:
        raise _twice()
    return f"{name}:{version}"


def _twice() -> AppError:
    return Unprocessable(
        "The path names a version twice: in the name of the model and behind it.",
        code="version-named-twice",
        remedy="Leave out the alias or number behind the name, or /versions/N.",
    )
