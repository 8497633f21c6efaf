"""One loaded version: texts to ids to logits to answers, with tokenizers and onnxruntime alone."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from app.artifacts.bundle import TOKENIZER, Bundle, Manifest
from app.errors import JobFailure
from app.processors import Share, anywhere, kept_to
from app.schemas.predictions import Prediction
from app.serving.decision import Logits, decision_of
from app.serving.lone import Lone
from app.serving.long_texts import refuse_long
from app.serving.memory import trim_memory
from app.serving.onnx_file import MappedModel, UnsafeModel, map_model
from app.text.tokenizer import TextEncoder

Ids = NDArray[np.int64]

SLOWER_FUSED = ["SkipLayerNormFusion"]
"""What onnxruntime makes of a sum and the norm behind it takes five times as long as the two; without that, int8 is
faster by 7 to 16 %."""


class Predictor:
    """Answers as one bundle's model; safe to share between threads."""

    def __init__(
        self, session: onnxruntime.InferenceSession, model: MappedModel, encoder: TextEncoder, manifest: Manifest
    ) -> None:
        self.encoder = encoder
        self.manifest = manifest
        self.labels = manifest.labels
        self.decide = decision_of(manifest)
        self.mapped_bytes = model.mapped_bytes
        self.lone: Lone[_Together] | None = None
        """How a text that comes alone is computed by several threads; None: it never is."""
        self._session = session
        self._tables = model.tables
        self._give_back = model.give_back

    @classmethod
    def load(cls, bundle: Bundle, *, lone_shares: Sequence[Share] = ()) -> "Predictor":
        """Load a bundle in the format that it is to be served in.

        One thread computes one call of ``logits``; a text that comes alone is computed by one for each of
        ``lone_shares`` of the processors, once ``lone`` is allowed.

        Raises JobFailure ``unloadable-model`` when the model or its tokenizer is not what a server can run.
        """
        manifest = bundle.manifest
        try:
            encoder = TextEncoder.from_files(bundle.path(TOKENIZER), manifest.tokenizer, manifest.text)
            model = map_model(bundle.path(manifest.served_file))
            session, size = _open_session(model.graph, anywhere(1)), len(model.graph)
            # The session has its own copy of the graph: ours would be the whole model once more.
            model = replace(model, graph=b"")
            predictor = cls(session, model, encoder, manifest)
            predictor._check_shape()
            if len(lone_shares) > 1 and model.again is not None:
                open_lone = partial(_open_lone, model.again, model, encoder, lone_shares)
                predictor.lone = Lone(open_lone, threads=len(lone_shares), bytes=size)
        except Exception as error:
            raise _unloadable(manifest, error) from error
        return predictor

    def logits(self, ids: Sequence[Ids], *, alone: bool = False) -> Logits:
        """Run the model on texts as ids, one array each; (batch, labels).

        ``alone`` says that it is a single text and that nothing else is to be computed.
        """
        feed = self.encoder.feed(ids)
        if not alone or self.lone is None:
            if self.lone is not None and self.lone.crowd():
                trim_memory()
            return self._run(feed)
        session, started = self.lone.session(), time.perf_counter()
        logits = self._run(feed, session)
        self.lone.note(len(ids[0]), time.perf_counter() - started, by_all=session is not None)
        return logits

    def _run(self, feed: Mapping[str, Ids], session: "_Together | None" = None) -> Logits:
        result: Logits
        (result,) = (session or self._session).run(["logits"], {**feed, **self._tables})
        return result

    def rest(self) -> None:
        """Give back what batches have left in the session, and the rows of tables that they read.

        For a pause: it costs about one short text, and the next ones fetch their rows page by page.
        """
        if self.lone is not None:
            self.lone.close()
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run(["logits"], {**self.encoder.smallest_feed(), **self._tables}, options)
        self._give_back()

    def predict(
        self, texts: Sequence[str], *, top_k: int | None = None, return_all_scores: bool = False
    ) -> list[Prediction]:
        """Classify texts in one batch. Raises Unprocessable ``too-many-tokens`` where no text may be cut."""
        if not texts:
            return []
        encoded = self.encoder.encode(texts)
        refuse_long(encoded, self.encoder)
        return self.decide(self.logits(encoded.ids), encoded, top_k, return_all_scores)

    def _check_shape(self) -> None:
        """Try the smallest batch that a wrong graph cannot answer."""
        if self._run(self.encoder.smallest_feed()).shape != (2, self.manifest.width):
            raise UnsafeModel("its logits do not fit its labels")


class _Together:
    """A session whose calls are computed by several threads, each on its share of the processors."""

    def __init__(self, graph: bytes, shares: Sequence[Share]) -> None:
        self._session = _open_session(graph, shares)
        self._callers_share = shares[0]

    def run(self, names: list[str], feed: Mapping[str, Any]) -> list[Any]:
        """Run the graph; whoever calls computes with the other threads, and so keeps off their processors."""
        with kept_to(self._callers_share):
            answer: list[Any] = self._session.run(names, feed)
        return answer


def _open_lone(
    graph: Callable[[], bytes], model: MappedModel, encoder: TextEncoder, shares: Sequence[Share]
) -> _Together:
    """Open the session for texts that come alone, and run it once: its first run takes longer.

    No method: a predictor that is let go must not be kept by what could still be opened for it.
    """
    with kept_to(Share()):  # whoever asks for it keeps to a core of its own
        session = _Together(graph(), shares)
        session.run(["logits"], {**encoder.smallest_feed(), **model.tables})
    model.give_back()
    trim_memory()
    return session


def _open_session(graph: bytes, shares: Sequence[Share]) -> onnxruntime.InferenceSession:
    """Open a session on bytes: a graph without a path cannot read other files.

    It computes with a thread for each share of the processors; the first is whoever calls. The others wait for the next
    operator of a call ready, which is sooner by a quarter, but nobody else has the processor then; between calls they
    wait idly.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(shares)
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if others := ";".join(",".join(str(cpu + 1) for cpu in sorted(share)) for share in shares[1:] if share):
        options.add_session_config_entry("session.intra_op_thread_affinities", others)
    session = onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"], enable_fallback=0, disabled_optimizers=SLOWER_FUSED
    )
    session._model_bytes = None  # kept for a change of providers that never comes: the whole model once more
    return session


def _unloadable(manifest: Manifest, error: Exception) -> JobFailure:
    reason = f": {error}" if isinstance(error, UnsafeModel) else f" ({type(error).__name__})"
    return JobFailure(
        detail=f"The exported model of {manifest.model} cannot be served{reason}.",
        code="unloadable-model",
        remedy="Train the version again; if that does not help, report it with the model's config.json.",
        kind="internal",
    )
