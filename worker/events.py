"""What a worker and its training process say to each other: one spec goes in, events come out, an exit code ends it.

The spec is one JSON line on the child's stdin, each event one JSON line on a pipe of its own. Nothing else is shared.
"""

import signal
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter

from app.errors import JobFailure
from app.schemas.base import Resource
from app.schemas.datasets import ProblemType
from app.schemas.hyperparameters import Resolution, ResolvedHyperparameters
from app.schemas.inspections import Inspection
from app.schemas.jobs import BaseModelRef, DatasetRef, Phase, TrainJobRequest
from app.schemas.metrics import Evaluation
from app.schemas.usage import Usage

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 64
"""The data or the wishes cannot work: the job fails now, a second try would end alike."""
EXIT_DIVERGED: Final = 65
"""The loss became NaN or infinite: the job fails now."""
EXIT_OUT_OF_MEMORY: Final = 66
"""The device's memory did not suffice, even after the batch was halved: the job fails now."""
EXIT_BROKEN: Final = 70
"""A failure that is nobody's fault and may not come again: counts as a crash and is tried again."""
EXIT_STOPPED: Final = 75
"""Asked to stop by a signal, and did."""
SAVE_AND_STOP: Final = signal.SIGUSR1
"""Asks to stop and to save training first; SIGTERM asks to stop."""
FINISH: Final = signal.SIGUSR2
"""Asks to end training with the best checkpoint so far, and to go on from there."""

DIVERGED_CODES: Final = frozenset({"training-diverged"})
OUT_OF_MEMORY_CODES: Final = frozenset({"gpu-out-of-memory", "out-of-memory"})


StopReason = Literal["completed", "early_stopping", "max_steps", "max_train_seconds", "max_gpu_seconds", "stopped"]
"""Why training ended; stopped: a client asked for it."""


class Interrupted(Exception):
    """Raised by the pipeline when it was asked to stop; never a failure of the job."""


class Message(Resource):
    """Base of everything on the wire; NaN and infinity travel as they are, for the recorder to drop."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class TaskSpec(Message):
    """One further task of a multitask job."""

    name: str
    dataset_file: Path
    """JSON lines of text, label (its name) and split."""
    dataset: DatasetRef
    labels: list[str]
    """Label names in the order of its logits."""


class AttemptSpec(Message):
    """Everything one attempt at a job needs to know; all paths are local and exist."""

    job_id: str
    attempt: int
    kind: Literal["train"] = "train"
    model_name: str
    """Name in the registry that the bundle is for."""
    work_dir: Path
    """Private folder of this attempt, for checkpoints and scratch; removed afterwards."""
    dataset_file: Path
    """JSON lines of text, label (its name) and split."""
    dataset: DatasetRef
    labels: list[str]
    """Label names in the order of the logits; of several tasks, those of the main one."""
    tasks: list[TaskSpec] = []
    """The further tasks of a multitask job, in the order of their logits."""
    problem_type: ProblemType = "single_label"
    """Whether a row has one label or any number of them."""
    base_model: BaseModelRef
    base_model_dir: Path | None
    """Folder with config.json, model.safetensors and tokenizer.json; None: the model is made from scratch."""
    request: TrainJobRequest
    threads: int = 0
    """CPU threads of torch; 0: measure what is fastest."""
    cuda_device: str | None = None
    """The GPUs of this attempt, as CUDA_VISIBLE_DEVICES names them; the child sets it before CUDA starts."""
    devices: int = 1
    """How many devices it may train on, each with a process of its own."""
    bundle_dir: Path
    """Where the bundle is to be written; does not exist yet."""
    trained_seconds: float = 0.0
    """Seconds of training in earlier attempts; they count towards the limits of the request."""
    fingerprint: str = ""
    """Stands for everything a checkpoint depends on; one with another fingerprint is not used."""
    checkpoint_seconds: float | None = None
    """How often training is saved; None: only when asked to stop and save."""
    resume_from: Path | None = None
    """Verified checkpoint to go on from; None: start anew."""
    teacher_dir: Path | None = None
    """Folder of the teacher of a distillation."""
    synonyms_dir: Path | None = None
    """The operator's word lists for augmentation."""
    cache_dir: Path | None = None
    """Folder that outlives attempts, for ids of texts and what was measured of this machine; None: nothing is kept."""


class PhaseStarted(Message):
    """The pipeline entered a phase."""

    type: Literal["phase"] = "phase"
    phase: Phase


class Resolved(Message):
    """Every ``auto`` is decided; training is about to begin."""

    type: Literal["resolved"] = "resolved"
    hyperparameters: ResolvedHyperparameters
    resolutions: list[Resolution]
    total_steps: int
    device: str
    """The device, as a person would name it: ``cpu``, ``NVIDIA H100``."""
    base_model: BaseModelRef
    inspection: Inspection | None = None
    """What the network is made of."""


class Stepped(Message):
    """Optimizer steps were made; also the sign of life that the stall watchdog waits for."""

    type: Literal["step"] = "step"
    step: int
    total_steps: int
    epoch: float
    loss: float
    """Mean training loss since the previous event of this kind."""
    learning_rate: float
    grad_norm: float | None = None
    examples_per_second: float | None = None
    eta_seconds: float | None = None
    values: dict[str, float] = {}
    """Further curves by name without prefix; shown as ``train/NAME``."""
    logged: bool = True
    """False: only progress, no point of a curve."""


class Evaluated(Message):
    """One split was judged."""

    type: Literal["evaluated"] = "evaluated"
    step: int
    epoch: float
    evaluation: Evaluation
    metric_name: str
    metric_value: float
    improved: bool
    """True when this validation is the best so far, and its checkpoint is kept."""


class Stopped(Message):
    """Training ended by itself."""

    type: Literal["stopped"] = "stopped"
    reason: StopReason
    step: int
    best_step: int


class Resumed(Message):
    """Training goes on where an earlier attempt was saved."""

    type: Literal["resumed"] = "resumed"
    step: int


class Checkpointed(Message):
    """Training was saved."""

    type: Literal["checkpoint"] = "checkpoint"
    step: int
    folder: Path
    """Whole, in the attempt's ``work_dir``; from now on the parent's."""
    kept: int = 2
    """How many of the job's checkpoints are to stay; two: the newest, and one to fall back on should it be damaged."""


class Warned(Message):
    """Something worth knowing that does not stop the job."""

    type: Literal["warning"] = "warning"
    code: str
    detail: str
    remedy: str | None = None


class BundleReady(Message):
    """The bundle is complete in ``bundle_dir``, its export verified."""

    type: Literal["bundle"] = "bundle"
    manifest_sha256: str


class Used(Message):
    """What the attempt cost."""

    type: Literal["usage"] = "usage"
    usage: Usage


class Failed(Message):
    """Why the attempt ended; the last event, followed by the exit code that fits."""

    type: Literal["failed"] = "failed"
    error: dict[str, JsonValue]
    """As ``JobFailure.as_dict`` gives it."""


Event = (
    PhaseStarted
    | Resolved
    | Resumed
    | Stepped
    | Evaluated
    | Checkpointed
    | Stopped
    | Warned
    | BundleReady
    | Used
    | Failed
)
_EVENT: TypeAdapter[Event] = TypeAdapter(
    Annotated[Event, Field(discriminator="type")],
    config=ConfigDict(defer_build=True),  # a training process, which has no use for it, loads this too
)


def parse_event(line: bytes) -> Event:
    """Read one line of a child. Raises pydantic.ValidationError when it is no event."""
    return _EVENT.validate_json(line)


def exit_code(failure: JobFailure) -> int:
    """Give the exit code that tells the parent what to do about a failure."""
    if failure.code in DIVERGED_CODES:
        return EXIT_DIVERGED
    if failure.code in OUT_OF_MEMORY_CODES:
        return EXIT_OUT_OF_MEMORY
    return EXIT_REFUSED if failure.final else EXIT_BROKEN
