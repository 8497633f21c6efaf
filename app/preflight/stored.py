"""The row of a dataset that was found sound, however it came."""

from app.preflight.messages import Accepted
from app.schemas.provenance import Provenance
from app.store import tables


def dataset_row(
    dataset_id: str, artifact_key: str, accepted: Accepted, provenance: Provenance | None = None
) -> tables.Dataset:
    """Make the row of a dataset."""
    profile = accepted.profile
    counts = {split: count.total for split, count in profile.splits.items()}
    return tables.Dataset(
        id=dataset_id,
        name=accepted.name,
        sha256=accepted.sha256,
        bytes=accepted.bytes,
        rows=sum(counts.values()),
        format=accepted.format if provenance is None else "import",
        labels=profile.labels,
        counts=counts,
        profile=profile.model_dump(mode="json"),
        artifact_key=artifact_key,
        provenance=None if provenance is None else provenance.model_dump(mode="json"),
    )
