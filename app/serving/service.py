"""The predict path: find the version, turn texts into ids, run them in batches, decide."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from app.schemas.predictions import PredictRequest, PredictResponse, Timing
from app.serving.batcher import Batcher
from app.serving.canaries import Caller, nobody
from app.serving.loaded import LoadedVersion
from app.serving.long_texts import refuse_long
from app.serving.observer import Observer
from app.serving.pool import Pool
from app.settings import Settings
from app.store.engine import Database
from app.telemetry import meters_of
from app.text.tokenizer import Encoded

SHORT_CHARS, FEW_TEXTS = 4_000, 8
"""Up to here tokenizing takes less than handing it to a thread."""


class PredictionService:
    """Answers predict requests; used from one event loop."""

    def __init__(self, pool: Pool, settings: Settings, database: Database) -> None:
        self._pool = pool
        self.batcher = Batcher(
            shares=settings.serve_shares,
            longest_wait_ms=settings.serve_queue_ms,
            most_items=settings.serve_queue_items,
        )
        self.observer = Observer(pool, database, lambda: self.batcher.is_idle)
        # One thread: it tokenizes the next long request while the others compute, and takes no more than a core.
        self._tokenizing = ThreadPoolExecutor(1, thread_name_prefix="tokenize")

    def close(self) -> None:
        """Answer what waits, then end the threads."""
        self.batcher.close()
        self._tokenizing.shutdown()
        self.observer.close()

    async def predict(
        self,
        request: PredictRequest,
        *,
        arrived: float | None = None,
        deadline: float | None = None,
        caller: Caller = nobody,
    ) -> PredictResponse:
        """Classify the texts of a request, in their order.

        It arrived and is to be answered until ``deadline`` by ``time.perf_counter``. ``caller`` tells who asks, where
        calls are split. Raises NotFound, Unprocessable, Overloaded, DeadlineExceeded, Unavailable.
        """
        arrived = time.perf_counter() if arrived is None else arrived
        texts = [request.inputs] if isinstance(request.inputs, str) else request.inputs
        meaning = await self._pool.meaning(request.model)
        version = await self._pool.take(meaning, request.prefer, caller)
        try:
            begun = time.perf_counter()
            encoded = await self._encode(version, texts)
            refuse_long(encoded, version.predictor.encoder, alone=isinstance(request.inputs, str))
            tokenize_ms = (time.perf_counter() - begun) * 1e3
            call = await self.batcher.run(version, encoded.ids, deadline=deadline)
        finally:
            self._pool.give_back(version)
        predictions = version.predictor.decide(np.array(call.logits), encoded, request.top_k, request.return_all_scores)
        timing = Timing(queue_ms=call.queue_ms, tokenize_ms=tokenize_ms, infer_ms=call.infer_ms)
        total_ms = (time.perf_counter() - arrived) * 1e3
        meters_of(version.model, version.version).answered(
            len(texts), queue_ms=call.queue_ms, tokenize_ms=tokenize_ms, infer_ms=call.infer_ms, total_ms=total_ms
        )
        if meaning.traffic is not None:
            self.observer.answered(meaning, version, texts, predictions)
        return PredictResponse(
            model=version.model,
            version=version.version,
            format=version.format,
            predictions=predictions,
            timing=timing,
        )

    async def _encode(self, version: LoadedVersion, texts: list[str]) -> Encoded:
        encode = version.predictor.encoder.encode
        if len(texts) <= FEW_TEXTS and sum(map(len, texts)) <= SHORT_CHARS:
            return encode(texts)
        return await asyncio.get_running_loop().run_in_executor(self._tokenizing, encode, texts)
