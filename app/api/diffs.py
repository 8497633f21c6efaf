"""The difference of two versions over HTTP."""

from collections.abc import Collection, Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from app.api.body import StrictRoute
from app.api.deps import Services, ServicesDep
from app.api.models import Name, find_version
from app.api.problems import documented
from app.artifacts.bundle import Manifest
from app.artifacts.stored import stored_manifest
from app.errors import NotFound, Unavailable, Unprocessable
from app.promotion.answers import Kept
from app.promotion.diff import diff
from app.schemas.datasets import SplitName
from app.schemas.diffs import VersionDiff
from app.store import datasets, models, tables

router = APIRouter(tags=["Models"], route_class=StrictRoute)


@router.get(
    "/models/{name}/diff",
    summary="Compare two versions",
    response_description="What differs.",
    responses=documented(NotFound, Unprocessable, Unavailable),
)
def diff_versions(
    name: Name,
    services: ServicesDep,
    one: Annotated[
        int | None,
        Query(alias="from", ge=1, le=models.MAX_VERSION, description="The one version; left out: what serves now."),
    ] = None,
    other: Annotated[
        int | None,
        Query(alias="to", ge=1, le=models.MAX_VERSION, description="The other version; left out: the newest."),
    ] = None,
    examples: Annotated[int, Query(ge=0, le=200, description="Changed answers that are shown.")] = 20,
) -> VersionDiff:
    """Put two versions side by side: hyperparameters, data, scores with their certainty, labels, changed answers.

    Changed answers are those on rows that both were judged on. The beginnings of their texts are read from the dataset
    of `to`, as reports show them; of a dataset that was deleted there are none.
    """
    with services.database.transaction(read_only=True) as session:
        before = _kept(_wanted(session, name, one, models.resolve(session, name)))
        after = _kept(_wanted(session, name, other, next(iter(models.versions(session, name)), None)))
        dataset = datasets.get(session, after.manifest.dataset.id)

    def texts(split: SplitName, places: Collection[int]) -> Mapping[int, str]:
        return _texts(services, dataset, after.manifest, split, places)

    return diff(name, before, after, services.artifacts, texts, examples=examples)


def _texts(
    services: Services,
    dataset: tables.Dataset | None,
    manifest: Manifest,
    split: SplitName,
    places: Collection[int],
) -> Mapping[int, str]:
    if dataset is None or dataset.sha256 != manifest.dataset.sha256:
        return {}
    return services.rows.texts(dataset, split, places)


def _wanted(session: Session, name: str, number: int | None, usual: tables.ModelVersion | None) -> tables.ModelVersion:
    if number is not None or usual is None:  # without any version, there is no first one either
        return find_version(session, name, number or 1)
    return usual


def _kept(row: tables.ModelVersion) -> Kept:
    return Kept(row.version, row.artifact_prefix, stored_manifest(row))
