"""How this process serves: for operators who ask why it is slow, or why it is not."""

from fastapi import APIRouter

from app.api.body import StrictRoute
from app.api.deps import ServicesDep
from app.schemas.serving import Batching, BatchTrial, LoadedModel, LoneTexts, Queue, ServedSplit, Serving
from app.serving.canaries import Split
from app.serving.loaded import LoadedVersion
from app.serving.lone import Pace

router = APIRouter(tags=["Service"], route_class=StrictRoute)


@router.get(
    "/serving", summary="What is loaded, and how fast is it?", response_description="The state of this process."
)
async def get_serving(services: ServicesDep) -> Serving:
    """Tell what waits for inference, and of each loaded version its memory, speed and batches.

    It is the state of the process that answers; where several serve, each has its own.
    """
    batcher, settings = services.predictions.batcher, services.settings
    queue = Queue(
        texts=len(batcher),
        seconds=round(batcher.estimated_wait(), 4),
        longest_seconds=settings.serve_queue_ms / 1000,
        most_texts=settings.serve_queue_items,
    )
    return Serving(
        threads=batcher.threads,
        awaits_callers=batcher.awaits_callers,
        queue=queue,
        versions=[_loaded(held) for held in services.pool.loaded()],
        splits=[_split(split) for split in services.pool.canaries.standing()],
    )


def _split(split: Split) -> ServedSplit:
    waiting = "waiting" if split.refused is None else "refused"
    return ServedSplit(
        model=split.model,
        alias=split.alias,
        version=split.version,
        tried=split.tried,
        role=split.role,
        percent=split.percent,
        state="loaded" if split.is_loaded else waiting,
        code=None if split.is_loaded else split.refused,
    )


def _loaded(held: LoadedVersion) -> LoadedModel:
    policy = held.gauge.policy
    trials = [
        BatchTrial(
            texts=trial.items,
            length=trial.length,
            milliseconds=round(trial.milliseconds, 3),
            tokens_per_second=round(trial.tokens_per_second),
        )
        for trial in policy.trials
    ]
    return LoadedModel(
        model=held.model,
        version=held.version,
        format=held.format,
        bytes=held.bytes,
        calls_in_flight=held.users,
        tokens_per_second=round(held.gauge.tokens_per_second),
        batching=Batching(
            texts=policy.items,
            tokens=policy.tokens,
            call_tokens=round(policy.call_tokens, 1),
            padding_price=round(policy.padding_price, 2),
            trials=trials,
        ),
        lone=_lone(held),
    )


def _lone(held: LoadedVersion) -> LoneTexts | None:
    lone = held.predictor.lone
    if lone is None:
        return None
    return LoneTexts(
        threads=lone.threads,
        bytes=lone.bytes,
        state="no-room" if not lone.is_allowed else "open" if lone.is_open else "closed",
        one_thread_ms_per_token=_milliseconds(lone.by_one),
        all_threads_ms_per_token=_milliseconds(lone.by_all),
    )


def _milliseconds(pace: Pace) -> float | None:
    return round(pace.seconds * 1e3, 3) if pace.seconds else None
