"""One job at a time: from its claim to a settled end, through every way in which an attempt can go wrong."""

import shutil
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.artifacts.keys import ISSUES
from app.artifacts.store import ArtifactStore
from app.errors import AppError, StorageFull, Unavailable
from app.logging import bound, get_logger
from app.schemas.jobs import TrainJobRequest
from app.settings import Settings
from app.store import jobs
from app.store.claims import Claim
from app.store.engine import Database
from worker import inputs
from worker.attempt import Attempt, Patience
from worker.base_models import BaseModels
from worker.budget import Budget
from worker.checkpoint_files import fingerprint
from worker.checkpoints import Checkpoints, fetch_newest
from worker.events import AttemptSpec, Interrupted
from worker.failures import budget_used_up, crashed, from_app_error, is_disk_full, storage_full
from worker.lease import Lease
from worker.outcome import Outcome
from worker.process import Process
from worker.publish import Publisher
from worker.seats import Seats
from worker.settling import UNSETTLED, settle
from worker.spare import Children
from worker.tracking.audience import Audience, Trackers
from worker.tracking.recorder import Recorder
from worker.tracking.tracker import Ending, Run
from worker.workspace import Workspace

log = get_logger(__name__)

SETTLE_RETRY_SECONDS = 0.5
ENDINGS: dict[str, Ending] = {
    "bundle": "succeeded",
    "stopped": "stopped",
    "lost": "stopped",
    "failed": "failed",
    "crashed": "failed",
}
"""What those who watch from outside are told of each end of an attempt."""


@dataclass(frozen=True)
class Tools:
    """What all slots of a worker share."""

    settings: Settings
    database: Database
    artifacts: ArtifactStore
    base_models: BaseModels
    workspace: Workspace
    children: Children
    trackers: Trackers
    draining: threading.Event
    seats: Seats


class Slot:
    """Works on one claim after another, each in a fresh process."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._gpus: list[str] = []
        self.lease: Lease | None = None
        """The lease of the job at hand."""
        self._audience = Audience()

    def work(self, claim: Claim, claimed_at: float) -> Outcome:
        """Carry one claim to its end and give how it ended; raises nothing."""
        settings = self._tools.settings
        lease = Lease(
            self._tools.database,
            claim,
            Recorder(),
            claimed_at=claimed_at,
            lease_seconds=settings.lease_seconds,
            heartbeat_seconds=settings.heartbeat_seconds,
            stall_seconds=settings.stall_seconds,
        )
        with bound(job_id=claim.job_id, attempt=claim.attempt):
            log.info("attempt_began")
            self.lease = lease
            self._audience = Audience()
            lease.start()
            ending: Ending = "failed"
            try:
                outcome = self._try(lease)
                ending = ENDINGS[outcome.ending]
                self._settle(lease, outcome)
            finally:
                lease.stop()
                self.lease = None
                self._audience.finish(ending)
            log.info("attempt_ended", ending=outcome.ending, code=(outcome.error or {}).get("code"))
        return outcome

    def _try(self, lease: Lease) -> Outcome:
        """Run the attempt and name its end; every exception has one."""
        try:
            return self._run(lease)
        except Interrupted:
            return Outcome("lost" if lease.lost() else "stopped")
        except jobs.LeaseLost as error:
            return Outcome("stopped" if error.code == "cancel-requested" else "lost")
        except Unavailable as error:
            log.warning("attempt_interrupted", code=error.code, detail=error.detail)
            return Outcome("stopped", reason=error.detail, transient=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job must hear of it
            return self._failed(lease, error)

    def _failed(self, lease: Lease, error: Exception) -> Outcome:
        phase = lease.recorder.phase
        if is_disk_full(error):
            return Outcome("failed", storage_full(phase or "preparing").as_dict(phase))
        if isinstance(error, AppError):
            return Outcome("failed", from_app_error(error).as_dict(phase))
        log.exception("worker_fault")
        return Outcome("crashed", crashed(f"The worker failed with {type(error).__name__}.").as_dict(phase))

    def _run(self, lease: Lease) -> Outcome:
        lease.recorder.enter("preparing")
        process = self._tools.children.take()
        settings = self._tools.settings
        checkpoints = Checkpoints(
            self._tools.artifacts, lease.claim, lease.recorder, stall_seconds=settings.stall_seconds
        )
        outcome, another = None, True
        self._gpus = []
        try:
            spec = self._prepare(lease, process)
            self._audience = self._tools.trackers.watch(Run.of(spec), lease.recorder.hear)
            outcome = Attempt(
                spec,
                process,
                lease,
                draining=self._tools.draining,
                patience=Patience(
                    cancel_grace=settings.cancel_grace_seconds,
                    drain_grace=settings.drain_grace_seconds,
                    stall=settings.stall_seconds,
                ),
                children=self._tools.children,
                checkpoints=checkpoints,
                audience=self._audience,
                budget=self._budget(spec),
            ).run()
            if outcome.ending == "bundle" and outcome.manifest_sha256 is not None:
                self._publish(lease, spec, outcome.manifest_sha256)
            another = outcome.ending in ("stopped", "crashed")
            return outcome
        finally:
            process.bury()
            self._tools.seats.leave(self._gpus)
            checkpoints.close(wanted=another and not lease.lost() and not lease.cancel_requested.is_set())
            self._tidy(lease.claim, process, keep_log=outcome is not None and outcome.ending in ("failed", "crashed"))

    def _prepare(self, lease: Lease, process: Process) -> AttemptSpec:
        """Bring data and base model here. Raises JobFailure, Unavailable, Interrupted."""
        tools, claim = self._tools, lease.claim
        folder = process.folder
        job = tools.database.run(lambda session: inputs.read(session, claim.job_id))
        lease.recorder.know(job.profile)
        devices = tools.seats.count(job.request.hyperparameters.devices)
        inputs.fetch_rows(tools.artifacts, job.source, folder / "rows.jsonl")
        tasks = inputs.fetch_tasks(tools.artifacts, job.tasks, folder)
        if job.base_model.source == "hub":
            lease.recorder.say(f"Preparing: getting {job.base_model.id} from the cache or the hub.")
        place, base_model = tools.base_models.find(job.base_model, folder, lambda: self._must_stop(lease))
        teacher_dir = self._teacher(lease, job.request, folder)
        scratch = folder / "scratch"
        scratch.mkdir()
        identity = fingerprint(claim.job_id, job.request_sha256, job.source.dataset.sha256, base_model)
        saved = fetch_newest(tools.artifacts, claim.job_id, identity, folder / "checkpoints", lease.recorder.hear)
        self._gpus = tools.seats.take(
            devices,
            must_stop=lambda: self._must_stop(lease),
            waiting=lambda: lease.recorder.say(f"Preparing: waiting for GPUs of this worker to be free ({devices})."),
        )
        spec = AttemptSpec(
            job_id=claim.job_id,
            attempt=claim.attempt,
            model_name=job.request.model,
            work_dir=scratch,
            dataset_file=folder / "rows.jsonl",
            dataset=job.source.dataset,
            labels=job.source.labels,
            tasks=tasks,
            problem_type=job.problem_type,
            base_model=base_model,
            base_model_dir=place,
            request=job.request,
            threads=tools.settings.worker_threads,
            cuda_device=",".join(self._gpus) or None,
            devices=devices,
            trained_seconds=job.trained_seconds,
            fingerprint=identity,
            checkpoint_seconds=tools.settings.checkpoint_seconds,
            resume_from=saved,
            bundle_dir=folder / "bundle",
            teacher_dir=teacher_dir,
            synonyms_dir=tools.settings.synonyms_dir,
            cache_dir=tools.settings.worker_cache_dir,
        )
        if saved is None and (budget := self._budget(spec)).used_up():
            raise budget_used_up(budget.limit)
        return spec

    def _budget(self, spec: AttemptSpec) -> Budget:
        return Budget(
            spec.request.hyperparameters,
            gpus=len(self._gpus),
            spent=spec.trained_seconds,
            grace=self._tools.settings.budget_grace_seconds,
        )

    def _teacher(self, lease: Lease, request: TrainJobRequest, folder: Path) -> Path | None:
        """Bring the teacher of a distillation here, if the job has one."""
        options = request.hyperparameters.distillation
        if options is None:
            return None
        lease.recorder.say(f"Preparing: getting the teacher {options.teacher}.")
        place = folder / "teacher"
        place.mkdir()
        ref = self._tools.base_models.refer(options.teacher, options.revision)
        return self._tools.base_models.find(ref, place, lambda: self._must_stop(lease))[0]

    def _must_stop(self, lease: Lease) -> bool:
        return lease.lost() or lease.cancel_requested.is_set() or self._tools.draining.is_set()

    def _publish(self, lease: Lease, spec: AttemptSpec, manifest_sha256: str) -> None:
        """Raises Interrupted, LeaseLost, JobFailure, StorageFull, Unavailable."""
        lease.recorder.enter("publishing")
        self._report(lease)
        if lease.lost() or lease.cancel_requested.is_set():
            raise Interrupted
        publisher = Publisher(self._tools.database, self._tools.artifacts, self._tools.draining.is_set)
        publisher.keep_issues(lease.claim, spec.work_dir / ISSUES)
        version = publisher.publish(lease, spec.bundle_dir, manifest_sha256)
        log.info("version_published", model=version.model_name, version=version.version)

    def _report(self, lease: Lease) -> None:
        """Write all that the attempt has said, since nothing can be added later; wait while the database is away."""
        while not lease.lost() and not lease.cancel_requested.is_set():
            try:
                lease.flush()
                return
            except (Unavailable, StorageFull) as error:
                log.warning("publishing_waits", code=error.code)
                time.sleep(SETTLE_RETRY_SECONDS)

    def _settle(self, lease: Lease, outcome: Outcome) -> None:
        """Write how the attempt ended; while the database is away, again until the lease has run out.

        What the database refuses for good is not written, and the attempt counts as a crash. Then the lease runs out.
        """
        if outcome.ending in ("bundle", "lost"):
            return
        if outcome.ending == "failed":
            lease.recorder.conclude((outcome.error or {}).get("code"))
        while not lease.lost():
            try:
                lease.flush()
                self._tools.database.run(partial(settle, lease=lease, outcome=outcome))
                return
            except (Unavailable, StorageFull) as error:
                log.warning("settling_again", code=error.code)
                time.sleep(SETTLE_RETRY_SECONDS)
            except Exception:  # asked again it would refuse again, and the slot would never be free
                log.exception("settling_refused")
                if outcome is UNSETTLED:
                    return
                lease.forget()
                outcome = UNSETTLED

    def _tidy(self, claim: Claim, process: Process, *, keep_log: bool) -> None:
        """Keep the log of what went wrong and remove everything else."""
        try:
            if keep_log and process.log_file.stat().st_size:
                kept = self._tools.workspace.keep_log(process.log_file, f"{claim.job_id}-{claim.attempt}")
                log.info("log_kept", file=kept.name)
        except OSError:
            log.warning("log_lost", exc_info=True)
        shutil.rmtree(process.folder, ignore_errors=True)
