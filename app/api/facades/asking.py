"""What all dialects share: texts are asked for as POST /predict would, and the version that answered is told."""

from typing import Annotated

from fastapi import Path, Request

from app.api.deps import Services
from app.api.predictions import answered
from app.artifacts.bundle import Manifest
from app.schemas.predictions import MODEL_REFERENCE_PATTERN, PredictRequest, PredictResponse

PREDICTION_IDS = "X-Prediction-Ids"
MOST_IDS = 64
"""Texts of a request whose ids go into a header: clients and proxies take only so long a one."""
NOT_LOGGED = "-"

Reference = Annotated[
    str,
    Path(
        pattern=MODEL_REFERENCE_PATTERN,
        description="NAME, NAME@ALIAS or NAME:VERSION.",
        examples=["sentiment@champion"],
    ),
]


async def ask(
    request: Request, services: Services, reference: str, texts: list[str], *, top_k: int | None = None
) -> tuple[PredictResponse, Manifest]:
    """Classify texts with every label's score, or with those of the best ``top_k``; and tell what has answered."""
    wanted = PredictRequest.model_construct(model=reference, inputs=texts, top_k=top_k, return_all_scores=top_k is None)
    answer = await answered(request, services, wanted)
    _, manifest = await manifest_of(services, f"{answer.model}:{answer.version}")
    return answer, manifest


def headers_of(answer: PredictResponse) -> dict[str, str]:
    """Tell in headers what no dialect has a place for: the version that answered, and the ids of logged answers."""
    headers = {"X-Model-Version": f"{answer.model}:{answer.version}"}
    ids = [prediction.id for prediction in answer.predictions[:MOST_IDS]]
    if any(ids):
        headers[PREDICTION_IDS] = ", ".join(name or NOT_LOGGED for name in ids)
    return headers


async def manifest_of(services: Services, reference: str) -> tuple[int, Manifest]:
    """Tell which version a reference means, and what is in it; it is loaded. Raises what a prediction would."""
    async with services.pool.use(reference) as version:
        return version.version, version.predictor.manifest
