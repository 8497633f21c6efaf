"""What all dialects share: texts are asked for as POST /predict would, and the version that answered is told."""

from typing import Annotated

from fastapi import Path, Request

from app.api.deps import Services
from app.api.predictions import answered
from app.artifacts.bundle import Manifest
from app.schemas.predictions import MODEL_REFERENCE_PATTERN, PredictRequest, PredictResponse

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


async def manifest_of(services: Services, reference: str) -> tuple[int, Manifest]:
    """Tell which version a reference means, and what is in it; it is loaded. Raises what a prediction would."""
    async with services.pool.use(reference) as version:
        return version.version, version.predictor.manifest
