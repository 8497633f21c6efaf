"""What a campaign leaves behind, read once at the end: rows, events, files, and the steps that were really made."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from app.artifacts.bundle import Manifest, sha256_of
from app.store import tables
from tests.faults.field import Accepted, Field


@dataclass(frozen=True)
class Move:
    """One change of a job's status, as its history tells it."""

    seq: int
    attempt: int
    before: str | None
    after: str
    reason: str = ""
    actor: str = ""


@dataclass(frozen=True)
class Made:
    """One step of training."""

    attempt: int
    step: int
    at: float
    """On the machine's monotonic clock, in seconds."""


@dataclass(frozen=True)
class Version:
    """One published version and the files behind it."""

    job_id: str
    attempt: int
    weights_sha256: str
    damage: str = ""
    """What is wrong with its files; empty: nothing."""


@dataclass
class JobHistory:
    """All that is known of one job."""

    id: str
    status: str
    attempt: int
    crashes: int
    moves: list[Move]
    attempts: list[int] = field(default_factory=list)
    """The attempt of every event of any type, in order."""
    gapless: bool = True
    """Whether the events are numbered 1, 2, 3, ..."""
    versions: list[Version] = field(default_factory=list)
    steps: list[Made] = field(default_factory=list)
    saved: dict[int, int] = field(default_factory=dict)
    """The last step that each attempt had stored, as its history tells."""
    queue: str = "default"


@dataclass
class History:
    """A whole field after its end."""

    accepted: Mapping[str, Accepted]
    jobs: dict[str, JobHistory]
    keys: dict[str, list[str]] = field(default_factory=dict)
    """Jobs by the seed of their chain: one request, one job."""
    stray_files: list[str] = field(default_factory=list)
    left_running: list[int] = field(default_factory=list)
    references: dict[str, str] = field(default_factory=dict)
    """Hash of the weights of an undisturbed run, by job; a job without one is not compared."""
    queues: dict[str, list[str]] = field(default_factory=dict)
    """By worker, what it takes jobs from."""
    thawed: bool = False
    """Whether a process was frozen, and may make one more step when it wakes."""


def read(place: Field) -> History:
    """Read a field whose processes have ended."""
    with place.database.transaction(read_only=True) as session:
        rows = {row.id: row for row in session.scalars(select(tables.Job))}
        events = list(session.scalars(select(tables.JobEvent).order_by(tables.JobEvent.job_id, tables.JobEvent.seq)))
        versions = list(session.scalars(select(tables.ModelVersion)))
    found = {
        id: JobHistory(id, row.status, row.attempt, row.crash_count, [], queue=row.queue) for id, row in rows.items()
    }
    for event in events:
        job = found[event.job_id]
        job.attempts.append(event.attempt)
        job.gapless &= event.seq == len(job.attempts)
        if event.type == "checkpoint":
            job.saved[event.attempt] = event.data["step"]
        if event.type == "status":
            data = event.data
            job.moves.append(Move(event.seq, event.attempt, data["from"], data["to"], data["reason"], data["actor"]))
    for version in versions:
        found[version.job_id].versions.append(_examined(place, version))
    keys: dict[str, list[str]] = {}
    for id, row in rows.items():
        keys.setdefault(row.user_metadata["seed"], []).append(id)
        found[id].steps = _journal(Path(row.user_metadata["journal"]))
    return History(
        accepted=place.accepted,
        jobs=found,
        keys=keys,
        stray_files=strays(place),
        left_running=place.left_running(),
        references=place.wanted,
        queues=dict(_introductions(place)),
        thawed=any("worker frozen" in fault for fault in place.injected),
    )


def _examined(place: Field, row: tables.ModelVersion) -> Version:
    folder = place.artifacts.root / row.artifact_prefix
    try:
        manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
        wrong = "manifest" if sha256_of(folder / "manifest.json") != row.manifest_sha256 else ""
        for name, entry in manifest.files.items():
            file = folder / name
            if not file.is_file() or (file.stat().st_size, sha256_of(file)) != (entry.bytes, entry.sha256):
                wrong = name
        weights = manifest.files["weights/model.safetensors"].sha256
    except (OSError, ValueError, KeyError) as error:
        return Version(row.job_id, row.attempt, "", f"{type(error).__name__}")
    return Version(row.job_id, row.attempt, weights, wrong)


def _introductions(place: Field) -> Iterator[tuple[str, list[str]]]:
    """Read in the logs of the workers what each said when it began."""
    for member in place.members:
        if not member.log.exists():  # killed before it could say anything
            continue
        for line in member.log.read_text(errors="replace").splitlines():
            if '"worker_ready"' in line:
                said = json.loads(line)
                yield said["worker"], said["queues"]


def _journal(file: Path) -> list[Made]:
    if not file.exists():
        return []
    lines = [line.split() for line in file.read_text().splitlines()]
    return [Made(int(attempt), int(step), float(at)) for attempt, step, at in lines]


def strays(place: Field) -> list[str]:
    """List the files of the artifact store that no row speaks for."""
    with place.database.transaction(read_only=True) as session:
        published = tuple(f"{prefix}/" for prefix in session.scalars(select(tables.ModelVersion.artifact_prefix)))
        ended = set(session.scalars(select(tables.Job.id).where(tables.Job.finished_at.is_not(None))))
    found = []
    # Not rglob, which fails where a folder goes away while it looks.
    for path in sorted(Path(folder, name) for folder, _, names in os.walk(place.artifacts.root) for name in names):
        key = path.relative_to(place.artifacts.root).as_posix()
        kind, owner = key.split("/")[:2]
        unpublished = kind in ("models", "jobs") and not f"models/{key.partition('/')[2]}".startswith(published)
        if path.name.startswith(".") or unpublished or (kind == "checkpoints" and owner in ended):
            found.append(key)
    return found
