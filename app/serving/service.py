"""The predict path: find the version, turn texts into ids, run them in batches, decide."""

import asyncio
import os
import time

import numpy as np

from app.schemas.predictions import PredictRequest, PredictResponse, Timing
from app.serving.batcher import Batcher
from app.serving.loaded import LoadedVersion
from app.serving.long_texts import refuse_long
from app.serving.pool import Pool
from app.settings import Settings
from app.telemetry import PREDICT_SECONDS, PREDICT_TEXTS
from app.text.tokenizer import Encoded

SHORT_CHARS = 4_000
"""Up to here tokenizing takes less than handing it to a thread."""


class PredictionService:
    """Answers predict requests; used from one event loop."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._batcher = Batcher(
            threads=settings.serve_threads or len(os.sched_getaffinity(0)), longest_wait_ms=settings.serve_queue_ms
        )

    def close(self) -> None:
        """Answer what waits, then end the inference threads."""
        self._batcher.close()

    async def predict(self, request: PredictRequest) -> PredictResponse:
        """Classify the texts of a request, in their order. Raises NotFound, Unprocessable, Overloaded, Unavailable."""
        started = time.perf_counter()
        texts = [request.inputs] if isinstance(request.inputs, str) else request.inputs
        async with self._pool.use(request.model, request.prefer) as version:
            begun = time.perf_counter()
            encoded = await self._encode(version, texts)
            refuse_long(encoded, version.predictor.encoder, alone=isinstance(request.inputs, str))
            tokenize_ms = (time.perf_counter() - begun) * 1e3
            rows = await self._batcher.run(version.predictor, version.gauge, encoded.ids)
        logits = np.stack([row.logits for row in rows])
        predictions = version.predictor.decide(logits, encoded, request.top_k, request.return_all_scores)
        timing = Timing(
            queue_ms=max(row.queue_ms for row in rows),
            tokenize_ms=tokenize_ms,
            infer_ms=max(row.infer_ms for row in rows),
        )
        _observe(timing, time.perf_counter() - started, len(texts))
        return PredictResponse(
            model=version.model,
            version=version.version,
            format=version.format,
            predictions=predictions,
            timing=timing,
        )

    async def _encode(self, version: LoadedVersion, texts: list[str]) -> Encoded:
        if sum(map(len, texts)) <= SHORT_CHARS:
            return version.predictor.encoder.encode(texts)
        return await asyncio.to_thread(version.predictor.encoder.encode, texts)


def _observe(timing: Timing, seconds: float, texts: int) -> None:
    PREDICT_TEXTS.inc(texts)
    PREDICT_SECONDS.labels(stage="total").observe(seconds)
    for stage in ("queue", "tokenize", "infer"):
        PREDICT_SECONDS.labels(stage=stage).observe(getattr(timing, f"{stage}_ms") / 1e3)
