"""One loaded version: texts to ids to logits to answers, with tokenizers and onnxruntime alone."""

from collections.abc import Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from app.artifacts.bundle import ONNX, TOKENIZER, Bundle, Manifest
from app.schemas.predictions import Prediction
from app.serving.decision import Logits, decide
from app.text.tokenizer import TextEncoder

Ids = NDArray[np.int64]


class Predictor:
    """Answers as one bundle's model; safe to share between threads."""

    def __init__(self, session: onnxruntime.InferenceSession, encoder: TextEncoder, manifest: Manifest) -> None:
        self.encoder = encoder
        self.manifest = manifest
        self.labels = manifest.labels
        self._session = session

    @classmethod
    def load(cls, bundle: Bundle, *, threads: int = 1) -> "Predictor":
        """Load a bundle's ONNX model, from bytes: a graph without a path cannot read other files."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            bundle.path(ONNX).read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        manifest = bundle.manifest
        encoder = TextEncoder.from_files(bundle.path(TOKENIZER), manifest.tokenizer, manifest.text)
        return cls(session, encoder, manifest)

    def logits(self, ids: Sequence[Ids]) -> Logits:
        """Run the model on texts as ids, one array each; (batch, labels)."""
        input_ids, attention_mask = self.encoder.pad(ids)
        (logits,) = self._session.run(["logits"], {"input_ids": input_ids, "attention_mask": attention_mask})
        result: Logits = logits
        return result

    def predict(
        self, texts: Sequence[str], *, top_k: int | None = None, return_all_scores: bool = False
    ) -> list[Prediction]:
        """Classify texts in one batch."""
        encoded = self.encoder.encode(texts)
        return [
            decide(row, self.labels, tokens=tokens, truncated=cut, top_k=top_k, return_all_scores=return_all_scores)
            for row, tokens, cut in zip(self.logits(encoded.ids), encoded.tokens, encoded.truncated, strict=True)
        ]
