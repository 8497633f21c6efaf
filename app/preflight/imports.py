"""What can be found wrong with an import before a worker is asked: the hub that does not answer, above all."""

from app.errors import AppError, FieldError, Unavailable, Unprocessable
from app.preflight.hub_answers import NoAnswer, ask
from app.schemas.sources import (
    TRUSTPILOT_DATASET,
    TWITTER_DATASET,
    HubSource,
    ImportSource,
    ProcessedSource,
    TrustpilotSource,
    TwitterSource,
)
from app.settings import Settings


def check(wanted: ImportSource, settings: Settings) -> None:
    """Ask the hub whether it has the dataset, within ``hub_timeout_seconds``.

    Raises Unprocessable ``hub-disabled``, ``unknown-dataset``, ``gated-dataset``, ``processed-disabled``, Unavailable
    ``hub-unreachable``.
    """
    if isinstance(wanted, ProcessedSource):
        if settings.processed_dir is None:
            raise _no_folder()
        return
    dataset = dataset_of(wanted)
    if not settings.hub_enabled:
        raise _disabled(dataset)
    try:
        answer = ask(f"{settings.hub_endpoint.rstrip('/')}/api/datasets/{dataset}", settings.hub_timeout_seconds)
    except NoAnswer as error:
        raise _unreachable(dataset, settings) from error
    if answer.headers.get("X-Error-Code") == "GatedRepo":
        return  # a worker may have a token that we have not
    if answer.status in (401, 403, 404):
        raise _unknown(dataset)
    if not 200 <= answer.status < 300:
        raise _unreachable(dataset, settings)


def dataset_of(wanted: HubSource | TwitterSource | TrustpilotSource) -> str:
    """Name the dataset of the hub that a source needs."""
    match wanted:
        case HubSource():
            return wanted.dataset
        case TwitterSource():
            return TWITTER_DATASET
        case TrustpilotSource():
            return TRUSTPILOT_DATASET


def _unreachable(dataset: str, settings: Settings) -> AppError:
    return Unavailable(
        f"The hub at {settings.hub_endpoint} does not answer, so {dataset} cannot be fetched.",
        code="hub-unreachable",
        remedy="Check the network, or set TUNESMITH_HUB_ENDPOINT to a mirror. A file can always be uploaded through "
        "POST /datasets.",
    )


def _disabled(dataset: str) -> AppError:
    return Unprocessable(
        f"{dataset} would have to be downloaded, and downloads are switched off.",
        code="hub-disabled",
        remedy="Upload the dataset as a file through POST /datasets, or set TUNESMITH_HUB_ENABLED=true.",
    )


def _unknown(dataset: str) -> AppError:
    remedy = "Check the spelling: OWNER/NAME as in its address on the hub. A private dataset can be uploaded as a file."
    return Unprocessable(
        f"The hub has no public dataset {dataset}.",
        code="unknown-dataset",
        remedy=remedy,
        errors=(FieldError("/from/dataset", "unknown-dataset", "names no public dataset of the hub", remedy=remedy),),
    )


def _no_folder() -> AppError:
    return Unprocessable(
        "This service has no folder of prepared datasets.",
        code="processed-disabled",
        remedy="Set TUNESMITH_PROCESSED_DIR on the API and the workers, or upload the file through POST /datasets.",
    )
