"""Batch predictions: a file or a dataset in, a file of answers out."""

import math
from collections.abc import Iterator
from pathlib import Path

from app.client.calls import Calls
from app.ids import is_id
from app.schemas.batches import BatchPrediction, BatchRequest, ResultFormat
from app.schemas.datasets import Dataset, FileFormat


class BatchCalls(Calls):
    """Many texts at once, answered by a worker."""

    def batch_predict(
        self,
        model: str,
        texts: Dataset | Path | str,
        *,
        text_column: str | None = None,
        format: FileFormat | None = None,
        top_k: int | None = None,
        return_all_scores: bool = False,
    ) -> BatchPrediction:
        """Have a worker classify the texts of a stored dataset (or ``"ds_..."``), or of a file on this machine."""
        if isinstance(texts, Dataset) or (isinstance(texts, str) and is_id(texts, "ds")):
            dataset_id = texts.id if isinstance(texts, Dataset) else texts
            request = BatchRequest(model=model, dataset_id=dataset_id, top_k=top_k, return_all_scores=return_all_scores)
            return self._post(BatchPrediction, "/batch-predictions", json=request.model_dump(mode="json"))
        wishes = {"model": model, "text_column": text_column, "format": format, "top_k": top_k}
        fields = {field: str(value) for field, value in wishes.items() if value is not None}
        fields["return_all_scores"] = "true" if return_all_scores else "false"
        with Path(texts).open("rb") as file:
            sent = {"file": (Path(texts).name, file)}
            return self._post(BatchPrediction, "/batch-predictions", files=sent, data=fields)

    def batches(self, *, limit: int | None = None) -> Iterator[BatchPrediction]:
        """Go through the batch predictions, newest first."""
        return self._pages(BatchPrediction, "/batch-predictions", limit)

    def batch(self, batch_id: str, *, seconds: float = 0.0) -> BatchPrediction:
        """Get a batch prediction, at once, or when it has ended or ``seconds`` are over, at most a minute."""
        headers = {"Prefer": f"wait={math.ceil(seconds)}"} if seconds > 0 else {}
        return self._get(BatchPrediction, f"/batch-predictions/{batch_id}", headers=headers)

    def cancel_batch(self, batch_id: str) -> BatchPrediction:
        """Ask a batch prediction to end; a running one ends within seconds."""
        return self._post(BatchPrediction, f"/batch-predictions/{batch_id}/cancel")

    def download_answers(self, batch_id: str, place: Path | str, *, format: ResultFormat = "jsonl") -> Path:
        """Write the answers of a batch prediction to a file, which is complete as soon as it exists."""
        return self._transport.download(f"/batch-predictions/{batch_id}/results?format={format}", Path(place))
