"""Reads the downloaded files of a dataset through the ``datasets`` library, as one table a split."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import datasets
import pyarrow as pa
from datasets.exceptions import DatasetsError

from app.errors import JobFailure
from app.schemas.provenance import Provenance
from app.schemas.sources import HubSource
from worker.data.hub.plan import Plan, make_plan, write_card
from worker.data.hub.repository import CONVERTED, Hub, Repository

_OTHER_REVISION = ("no-data-files", "unknown-config")
"""Failures after which the hub's own conversion is worth a look."""


@dataclass(frozen=True, slots=True)
class HubTable:
    """The splits of a dataset by the hub's names, and where they came from."""

    splits: Mapping[str, datasets.Dataset]
    provenance: Provenance


def open_table(wanted: HubSource, hub: Hub, scratch: Path) -> HubTable:
    """Download the files of a dataset's configuration and read them; ``scratch`` must outlive the table.

    Raises JobFailure for everything that can go wrong on the way.
    """
    datasets.disable_progress_bars()
    notes: list[str] = []
    repository = Repository.open(hub, wanted.dataset, wanted.revision)
    try:
        plan = _plan(repository, wanted, scratch / "names")
    except JobFailure as failure:
        if wanted.revision is not None or failure.code not in _OTHER_REVISION:
            raise
        repository, plan = _converted(wanted, hub, scratch / "converted", failure)
        notes.append(f"The files are the hub's conversion of the dataset to Parquet ({CONVERTED}).")
    chosen = _chosen(plan, wanted)
    places = repository.bring([name for names in chosen.values() for name in names])
    return HubTable(
        splits=_read(wanted.dataset, plan, chosen, places, scratch),
        provenance=Provenance(
            source=wanted.source,
            options=wanted.model_dump(mode="json"),
            dataset=wanted.dataset,
            endpoint=hub.endpoint,
            revision=repository.commit,
            config=plan.config,
            files=repository.describe(places),
            libraries={"datasets": datasets.__version__},
            notes=notes,
        ),
    )


def _plan(repository: Repository, wanted: HubSource, scratch: Path) -> Plan:
    scratch.mkdir(parents=True)
    try:
        return make_plan(wanted.dataset, sorted(repository.files), repository.card(), wanted.config, scratch)
    finally:
        shutil.rmtree(scratch)


def _converted(wanted: HubSource, hub: Hub, scratch: Path, first: JobFailure) -> tuple[Repository, Plan]:
    """Look at the hub's conversion; when there is none, the failure without it says more."""
    try:
        repository = Repository.open(hub, wanted.dataset, CONVERTED)
        return repository, _plan(repository, wanted, scratch)
    except JobFailure as failure:
        if failure.code in (*_OTHER_REVISION, "unknown-revision", "unknown-dataset"):
            raise first from failure
        raise


def _chosen(plan: Plan, wanted: HubSource) -> dict[str, list[str]]:
    names = list(plan.splits) if wanted.splits is None else list(wanted.splits.values())
    unknown = [name for name in names if name not in plan.splits]
    if unknown:
        raise JobFailure(
            detail=f"{wanted.dataset} has no split {unknown[0]!r}; it has {', '.join(plan.splits)}.",
            code="unknown-split",
            remedy="Name its splits in splits as they are called on the hub.",
            kind="user",
        )
    return {name: sorted(plan.splits[name])[: wanted.files_per_split] for name in dict.fromkeys(names)}


def _read(
    dataset: str, plan: Plan, chosen: Mapping[str, list[str]], places: Mapping[str, Path], scratch: Path
) -> dict[str, datasets.Dataset]:
    folder = scratch / "files"
    for name, place in places.items():
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(place.absolute())
    files = [{"split": split, "path": names} for split, names in chosen.items()]
    write_card(folder, plan.config, {**plan.entry, "data_files": files}, plan.info)
    try:
        # From a local folder: the library itself contacts nobody, and the card is the one written above.
        loaded = datasets.load_dataset(
            str(folder), name=plan.config, cache_dir=str(scratch / "arrow"), streaming=False, token=False
        )
    except (DatasetsError, pa.ArrowException, ValueError, TypeError, KeyError, UnicodeError) as error:
        raise JobFailure(
            detail=f"The files of {dataset} do not form one table that can be read ({type(error).__name__}).",
            code="unreadable-dataset",
            remedy="Name another config or revision, or download the files, mend them and upload them.",
            kind="data",
        ) from error
    return {str(split): loaded[split] for split in loaded}
