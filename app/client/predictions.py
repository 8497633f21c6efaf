"""Predictions, what was logged of them, and how a version does on real calls."""

from collections.abc import Iterator, Sequence

from app.client.calls import Calls
from app.schemas.feedback import LoggedPrediction
from app.schemas.live import Live
from app.schemas.predictions import PredictRequest, PredictResponse, Prefer


class PredictionCalls(Calls):
    """Texts in, labels out, at once."""

    def predict(
        self,
        model: str,
        inputs: str | Sequence[str],
        *,
        top_k: int | None = None,
        return_all_scores: bool = False,
        prefer: Prefer | None = None,
        routing_key: str | None = None,
    ) -> PredictResponse:
        """Classify texts with NAME, NAME@ALIAS or NAME:VERSION.

        Where an alias has a canary, the same ``routing_key`` is answered by the same version.
        """
        texts = inputs if isinstance(inputs, str) else list(inputs)
        request = PredictRequest(
            model=model,
            inputs=texts,
            top_k=top_k,
            return_all_scores=return_all_scores,
            prefer=prefer,
            routing_key=routing_key,
        )
        # Asking twice changes nothing, so there is nothing for the service to remember.
        answer = self._transport.send(
            "POST", "/predict", json=request.model_dump(exclude_defaults=True), idempotent=False
        )
        return PredictResponse.model_validate_json(answer.content)

    def feedback(
        self, prediction_id: str, *, label: str | None = None, labels: Sequence[str] | None = None
    ) -> LoggedPrediction:
        """Say what the right label, or of a multi-label version all right labels, of a logged answer was."""
        said = {"label": label} if labels is None else {"labels": list(labels)}
        return self._post(LoggedPrediction, f"/predictions/{prediction_id}/feedback", json=said)

    def predictions(
        self, name: str, *, version: int | None = None, judged: bool | None = None, limit: int | None = None
    ) -> Iterator[LoggedPrediction]:
        """Go through the logged answers of a model, newest first; ``judged``: only those with, or without, feedback."""
        wishes = {"version": version, "judged": None if judged is None else str(judged).lower()}
        params = {key: str(value) for key, value in wishes.items() if value is not None}
        return self._pages(LoggedPrediction, f"/models/{name}/predictions", limit, params)

    def live(self, name: str, number: int, *, hours: int = 24, windows: int = 7) -> Live:
        """Get how a version does on real calls: accuracy by feedback, and drift by windows of so many hours."""
        params = {"hours": str(hours), "windows": str(windows)}
        return self._get(Live, f"/models/{name}/versions/{number}/live", params=params)
