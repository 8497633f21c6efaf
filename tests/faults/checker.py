"""The judge of a campaign: a pure function from a history to the promises that it breaks."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.schemas.jobs import TERMINAL
from tests.faults.history import History, JobHistory
from tests.faults.recipes import LOSE_ON_PURPOSE

LEGAL = {
    (None, "queued"),
    ("queued", "running"),
    ("queued", "cancelled"),
    ("running", "queued"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "cancelled"),
}
LAST_STEP_SECONDS = 1.0
"""How long a process that was frozen may go on when it wakes: until its next look at its lease."""
UNSAVED_SECONDS = 1.5
"""Steps made within so long before a crash may not have reached the artifact store, beside those of one interval."""


@dataclass(frozen=True)
class Violation:
    """One broken promise."""

    rule: str
    job_id: str
    detail: str


Rule = Callable[[History], Iterator[Violation]]


def check(history: History) -> list[Violation]:
    """Judge by every rule."""
    return [violation for rule in RULES.values() for violation in rule(history)]


def accepted_jobs_end(history: History) -> Iterator[Violation]:
    """(a) Every accepted job exists, once, and has ended."""
    for id in history.accepted:
        job = history.jobs.get(id)
        if job is None:
            yield Violation("a", id, "accepted and lost")
        elif job.status not in TERMINAL:
            yield Violation("a", id, f"stuck in {job.status}")
    for seed, ids in history.keys.items():
        if len(ids) > 1:
            yield Violation("a", ids[1], f"one request made {len(ids)} jobs ({seed})")


def one_version_iff_succeeded(history: History) -> Iterator[Violation]:
    """(b) A succeeded job has one version, any other none."""
    for job in history.jobs.values():
        wanted = int(job.status == "succeeded")
        if len(job.versions) != wanted:
            yield Violation("b", job.id, f"{job.status} with {len(job.versions)} versions")


def moves_are_legal(history: History) -> Iterator[Violation]:
    """(c) Transitions are legal, follow each other without a gap, and end in the job's status."""
    for job in history.jobs.values():
        status: str | None = None
        for move in job.moves:
            if move.before != status or (move.before, move.after) not in LEGAL:
                yield Violation("c", job.id, f"{move.before} -> {move.after} after {status}")
            status = move.after
        if status != job.status:
            yield Violation("c", job.id, f"history ends in {status}, the row says {job.status}")
        if not job.gapless:
            yield Violation("c", job.id, "events are missing or numbered twice")


def attempts_grow(history: History) -> Iterator[Violation]:
    """(d) Attempts count up one by one, no event is of an attempt before the last claim, no two train at once."""
    for job in history.jobs.values():
        claims = [move.attempt for move in job.moves if move.after == "running"]
        if claims != list(range(1, len(claims) + 1)) or (claims and claims[-1] != job.attempt):
            yield Violation("d", job.id, f"claims {claims}, attempt {job.attempt}")
        if job.attempts != sorted(job.attempts):
            yield Violation("d", job.id, "an event of an older attempt after a newer one")
        yield from _overlaps(history, job)


def _overlaps(history: History, job: JobHistory) -> Iterator[Violation]:
    begun: dict[int, float] = {}
    ended: dict[int, list[float]] = {}
    for made in job.steps:
        begun.setdefault(made.attempt, made.at)
        ended.setdefault(made.attempt, []).append(made.at)
    for older, times in ended.items():
        newer = [at for attempt, at in begun.items() if attempt > older]
        late = [at for at in times if newer and at > min(newer)]
        if late and not (history.thawed and late[-1] - late[0] <= LAST_STEP_SECONDS):
            yield Violation("d", job.id, f"attempt {older} made {len(late)} steps after its successor had begun")


def weights_are_bit_equal(history: History) -> Iterator[Violation]:
    """(e) Published weights equal those of an undisturbed run, to the step at which a client stopped it."""
    for id, job in history.jobs.items():
        wanted = _wanted(history, id)
        for version in job.versions:
            if wanted and version.weights_sha256 not in wanted:
                yield Violation("e", id, "weights differ from an undisturbed run's")


def _wanted(history: History, id: str) -> set[str]:
    if (accepted := history.accepted.get(id)) is not None and (digests := accepted.recipe.digests):
        return {hashlib.sha256(digest.encode()).hexdigest() for digest in digests}
    return {history.references[id]} if id in history.references else set()


def files_are_whole(history: History) -> Iterator[Violation]:
    """(f) Every manifest verifies, and no file is left that nothing refers to."""
    for job in history.jobs.values():
        for version in job.versions:
            if version.damage:
                yield Violation("f", job.id, f"published with a wrong {version.damage}")
    for key in history.stray_files:
        yield Violation("f", key.split("/")[1], f"left behind: {key}")


def little_is_repeated(history: History) -> Iterator[Violation]:
    """(g) A crash costs what was not saved, one interval between checkpoints at most; an orderly end nothing."""
    for id, job in history.jobs.items():
        accepted = history.accepted.get(id)
        if accepted is None or not job.steps or accepted.recipe.mode in LOSE_ON_PURPOSE:
            continue
        allowed = job.crashes * (accepted.recipe.every + UNSAVED_SECONDS / max(accepted.recipe.pace, 0.001))
        repeated = len(job.steps) - len({made.step for made in job.steps})
        if repeated > allowed:
            yield Violation("g", id, f"{repeated} steps repeated in {job.crashes} crashes")
        yield from _forgotten(job)


def _forgotten(job: JobHistory) -> Iterator[Violation]:
    """Find attempts that made steps again which an earlier one had stored."""
    begun: dict[int, int] = {}
    for made in job.steps:
        begun.setdefault(made.attempt, made.step)
    for attempt, step in begun.items():
        saved = max((last for earlier, last in job.saved.items() if earlier < attempt), default=0)
        if step <= saved:
            yield Violation("g", job.id, f"attempt {attempt} began at step {step}, though {saved} were saved")


def nothing_runs_on(history: History) -> Iterator[Violation]:
    """(h) No training process outlives its worker."""
    for pid in history.left_running:
        yield Violation("h", "", f"process {pid} still runs")


def queues_are_kept(history: History) -> Iterator[Violation]:
    """(i) A worker takes jobs of its own queues only."""
    for job in history.jobs.values():
        for move in job.moves:
            queues = history.queues.get(move.actor)
            if move.after == "running" and queues is not None and job.queue not in queues:
                yield Violation("i", job.id, f"of the queue {job.queue}, taken by a worker for {queues}")


RULES: dict[str, Rule] = {
    "a": accepted_jobs_end,
    "b": one_version_iff_succeeded,
    "c": moves_are_legal,
    "d": attempts_grow,
    "e": weights_are_bit_equal,
    "f": files_are_whole,
    "g": little_is_repeated,
    "h": nothing_runs_on,
    "i": queues_are_kept,
}
