"""Mutants: each takes one guard out of the store, and a judge must notice: the random walk, or races for locks.

SQLite has one writer at a time and needs no locks of rows, so races are judged on Postgres.
"""

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.faults.ground import Ground
from tests.faults.mutated import NOTICED, UNNOTICED

AT_A_TIME = 2


@dataclass(frozen=True)
class Mutant:
    """One guard, and the code without it."""

    name: str
    module: str
    guard: str
    without: str
    judge: str = "walk"
    databases: tuple[str, ...] = ("sqlite", "postgres")


_ATTEMPT, _RUNNING = " Job.attempt == claim.attempt,", ', Job.status == "running"'
_FENCE = f"Job.id == claim.job_id,{_ATTEMPT[:-1]}{_RUNNING}"
_ONCE = 'Asking twice changes nothing more.\n    """\n    job = session.get(Job, job_id, '
_LOCKED, _READ = "with_for_update=True, populate", "populate"


def _unlocked(name: str, module: str, guard: str, without: str) -> Mutant:
    return Mutant(name, module, guard, without, judge="race", databases=("postgres",))


MUTANTS = (
    Mutant("the fence does not compare attempts", "claims", _FENCE, _FENCE.replace(_ATTEMPT, "")),
    Mutant("the fence lets ended jobs be written", "claims", _FENCE, _FENCE.replace(_RUNNING, "")),
    Mutant("an attempt keeps its number", "claims", "attempt=Job.attempt + 1", "attempt=Job.attempt"),
    Mutant("a claim takes jobs that do not wait", "claims", 'Job.status == "queued", Job.run_at', "Job.run_at"),
    Mutant("crashes are not counted", "claims", "Job.crash_count + int(crashed)", "Job.crash_count"),
    Mutant("interruptions count as crashes", "claims", "Job.crash_count + int(crashed)", "Job.crash_count + 1"),
    Mutant("one crash too many", "claims", "Job.crash_count + 1 >= Job.max", "Job.crash_count >= Job.max"),
    Mutant("a lost job forgets its cancel", "claims", 'case((cancelled, "cancelled"), (exhausted', "case((exhausted"),
    Mutant(
        "live leases are taken back", "claims", 'silent = (Job.status == "running", Job.lease_until < now())',
        'silent = (Job.status == "running",)',
    ),
    Mutant(
        "a heartbeat proves nothing", "claims", "beat = _guarded(update(Job), claim)",
        "beat = update(Job).where(Job.id == claim.job_id)",
    ),
    Mutant(
        "a heartbeat hides the cancel", "claims", "Heartbeat(True, row.cancel_requested_at is not None",
        "Heartbeat(True, False",
    ),
    Mutant(
        "publishing wins over a cancel", "attempts", "if job is None or job.cancel_requested_at is not None:",
        "if job is None:",
    ),
    Mutant(
        "anyone may fail a job", "attempts", "    job.error = dict(error)\n",
        "    job.error = dict(error); job.attempt += 1\n",
    ),
    Mutant(
        "failing wins over a cancel", "attempts", "    if job.cancel_requested_at is not None:\n        transitions",
        "    if job.cancel_requested_at is None and False:\n        transitions",
    ),
    Mutant("a cancel changes ended jobs", "jobs", "if job.status in TERMINAL:\n        return \"cancelled\"",
           "if job.status == 'cancelled':\n        return \"cancelled\""),
    Mutant("a stop changes ended jobs", "jobs", "if job.status in TERMINAL:\n        return \"already",
           "if job.status == 'cancelled':\n        return \"already"),
    Mutant("a stop of what never ran", "jobs", "if job.attempt == 0:", "if job.attempt < 0:"),
    Mutant("events are numbered with gaps", "events", "start=last(session, job.id) + 1",
           "start=last(session, job.id) + 2"),
    Mutant("a version without a succeeded job", "models", "if not attempts.succeed(", "if attempts.succeed("),
    Mutant("an ended job keeps its lease", "transitions", "job.lease_owner = job.lease_until = None", "pass"),
    Mutant(
        "a move without its event", "transitions", 'events.append(session, job, [NewEvent("status", data)], at=at)',
        "pass",
    ),
    _unlocked("a write reads its job unlocked", "claims", "_guarded(select(Job), claim).with_for_update()",
              "_guarded(select(Job), claim)"),
    _unlocked("a cancel reads its job unlocked", "jobs", f"\n    {_ONCE}{_LOCKED}", f"\n    {_ONCE}{_READ}"),
    _unlocked("a stop reads its job unlocked", "jobs", f"none. {_ONCE}{_LOCKED}", f"none. {_ONCE}{_READ}"),
    _unlocked("versions are numbered unlocked", "models", "get_one(Model, name, with_for_update=True, ",
              "get_one(Model, name, "),
    _unlocked("an alias moves unlocked", "models", "session.get(Model, name, with_for_update=True, ",
              "session.get(Model, name, "),
)  # fmt: skip


def survivors(ground: Ground, databases: Sequence[str], mutants: Sequence[Mutant] = MUTANTS) -> list[str]:
    """Name the mutants that nobody noticed; first makes sure that the unchanged store passes."""
    tasks = [
        (mutant, database)
        for database in databases
        for mutant in (None, *mutants)
        if mutant is None or database in mutant.databases
    ]
    with ThreadPoolExecutor(AT_A_TIME) as crew:
        noticed = list(crew.map(lambda task: _noticed(ground, *task), tasks))
    wrong = []
    for (mutant, database), was_noticed in zip(tasks, noticed, strict=True):
        if mutant is None and was_noticed:
            wrong.append(f"{database}: the unchanged store fails")
        elif mutant is not None and not was_noticed:
            wrong.append(f"{database}: {mutant.name}")
    return wrong


def _noticed(ground: Ground, mutant: Mutant | None, database: str) -> bool:
    """Walk over a changed store in a process of its own."""
    what = ["walk"] if mutant is None else [mutant.judge, f"app.store.{mutant.module}", mutant.guard, mutant.without]
    command = [sys.executable, "-m", "tests.faults.mutated", ground.new_database(database), *what]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (NOTICED, UNNOTICED):
        raise RuntimeError(done.stderr[-2000:])
    return done.returncode == NOTICED
