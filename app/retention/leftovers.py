"""What ended jobs and deleted versions leave in the artifact store, removed by every worker now and then."""

from collections.abc import Iterator

from app.artifacts.store import ArtifactStore
from app.store import jobs, retention
from app.store.engine import Database

CHECKPOINTS = "checkpoints"
"""Folder of all checkpoints: checkpoints/JOB/ATTEMPT/STEP."""
MANIFEST = "manifest.json"
IN_VAIN_SECONDS = 86_400.0
"""A worker that was killed while it published may have left files of a job that has failed since; so long ago at most.
"""
READERS_SECONDS = 3600.0
"""How long the files of a deleted version stay, for those who are reading them."""


def sweep(database: Database, artifacts: ArtifactStore) -> None:
    """Remove checkpoints of ended jobs, bundles of jobs that ended in vain, and files of deleted versions.

    Raises what the stores raise; whatever is left is for the next time.
    """
    saved = set(_job_ids(artifacts))
    unfinished = database.run(lambda session: jobs.unfinished(session, saved)) if saved else set()
    for job_id in saved - unfinished:
        remove_checkpoints(artifacts, f"{CHECKPOINTS}/{job_id}")
    for job_id in database.run(lambda session: jobs.ended_in_vain(session, IN_VAIN_SECONDS)):
        artifacts.remove(f"models/{job_id}")
        artifacts.remove(f"jobs/{job_id}")
    gone = database.run(lambda session: [row.prefix for row in retention.discarded(session, READERS_SECONDS)])
    for prefix in gone:
        artifacts.remove(prefix)
        database.run(lambda session, prefix=prefix: retention.forget(session, prefix))  # type: ignore[misc]


def remove_checkpoints(artifacts: ArtifactStore, prefix: str) -> None:
    """Remove everything below a prefix, manifests first: what is half removed counts as absent."""
    for key in list(artifacts.list(prefix)):
        if key.endswith(f"/{MANIFEST}"):
            artifacts.delete(key)
    artifacts.remove(prefix)


def _job_ids(artifacts: ArtifactStore) -> Iterator[str]:
    for key in artifacts.list(CHECKPOINTS):
        yield key.split("/")[1]
