"""A pipeline without learning: it obeys the contract of a real one and misbehaves as its job's metadata tells it."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from app.artifacts.bundle import MANIFEST, ONNX, TOKENIZER, WEIGHTS, Manifest, describe_files, sha256_of
from app.errors import JobFailure
from app.schemas.hyperparameters import Hyperparameters, ResolvedHyperparameters
from app.schemas.metrics import ClassScores, Evaluation
from app.schemas.text import TokenizerSettings
from app.schemas.usage import Usage
from worker import checkpoint_files
from worker.events import (
    AttemptSpec,
    BundleReady,
    Checkpointed,
    Evaluated,
    Event,
    Interrupted,
    PhaseStarted,
    Resolved,
    Resumed,
    Stepped,
    Stopped,
    Used,
    Warned,
)

Emit = Callable[[Event], None]
STEPS = 6


class OutOfMemoryError(RuntimeError):
    """Named as torch names it."""


Asked = Callable[[], bool]


def run(spec: AttemptSpec, emit: Emit, should_stop: Asked, should_save: Asked, should_finish: Asked) -> None:
    """Do what ``metadata['toy']`` says; ``first:MODE`` does it in the first attempt only."""
    mode = spec.request.metadata.get("toy", "train")
    if mode.startswith("first:"):
        mode = mode.removeprefix("first:") if spec.attempt == 1 else "train"
    if report := spec.request.metadata.get("report"):
        facts = {"environment": dict(os.environ), "pid": os.getpid(), "modules": sorted(sys.modules)}
        Path(report).write_text(json.dumps(facts))
    emit(PhaseStarted(phase="preparing"))
    rows = spec.dataset_file.read_text().splitlines()
    emit(PhaseStarted(phase="training"))
    emit(resolved(spec))
    if spec.resume_from is not None:
        emit(Resumed(step=json.loads((spec.resume_from / "state.json").read_text())["step"]))
    if mode in ("saves", "saves-slowly"):
        save_until(spec, emit, should_stop, should_save, pause=1.0 if mode == "saves-slowly" else 0.0)
    if mode == "endless":
        finish_when_asked(spec, emit, should_stop, should_finish)
        return
    misbehave(mode, spec, emit, should_stop)
    for step in range(1, STEPS + 1):
        if should_stop():
            raise Interrupted
        emit(stepped(step, STEPS))
        time.sleep(0.01)
    emit(evaluated(spec, "validation", STEPS, improved=True))
    emit(Stopped(reason="completed", step=STEPS, best_step=STEPS))
    emit(PhaseStarted(phase="evaluating"))
    emit(evaluated(spec, "test", STEPS, improved=False))
    emit(Warned(code="toy", detail="This model has learnt nothing.", remedy="Use a real pipeline."))
    emit(PhaseStarted(phase="exporting"))
    digest = write_bundle(spec, f"{len(rows)} rows".encode())
    emit(Used(usage=Usage(wall_seconds=1.0, phases={"training": 0.5})))
    if mode == "silent":
        return
    emit(BundleReady(manifest_sha256="0" * 64 if mode == "wrong-hash" else digest))


def finish_when_asked(spec: AttemptSpec, emit: Emit, should_stop: Asked, should_finish: Asked) -> None:
    """Step until asked to make do with what there is, then hand it back."""
    step = _step_until(emit, lambda: should_stop() or should_finish())
    if should_stop():
        raise Interrupted
    emit(evaluated(spec, "validation", step, improved=True))
    emit(Stopped(reason="stopped", step=step, best_step=step))
    emit(PhaseStarted(phase="exporting"))
    emit(BundleReady(manifest_sha256=write_bundle(spec, b"what there is")))


def save_until(
    spec: AttemptSpec,
    emit: Emit,
    should_stop: Callable[[], bool],
    should_save: Callable[[], bool],
    *,
    pause: float,
) -> None:
    """Save at once, then step until asked to stop, and save again if asked to, which takes ``pause`` seconds."""
    write_checkpoint(spec, emit, 1)
    step = _step_until(emit, should_stop)
    if should_save():
        time.sleep(pause)
        write_checkpoint(spec, emit, step + 1)
    raise Interrupted


def write_checkpoint(spec: AttemptSpec, emit: Emit, step: int) -> None:
    """Write what looks like a checkpoint."""
    folder = spec.work_dir / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"step": step}))
    files = {name: entry.model_dump() for name, entry in describe_files(folder).items()}
    manifest = {"fingerprint": spec.fingerprint, "files": files}
    (folder / checkpoint_files.MANIFEST).write_text(json.dumps(manifest))
    emit(Checkpointed(step=step, folder=folder))


def misbehave(mode: str, spec: AttemptSpec, emit: Emit, should_stop: Callable[[], bool]) -> None:
    """Go wrong in the way that ``mode`` names."""
    match mode:
        case "slow":
            _step_until(emit, should_stop)
            raise Interrupted
        case "deaf":
            _step_until(emit, lambda: False)
        case "hang":
            time.sleep(3600)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "refuse":
            raise JobFailure("A class has a single row.", "too-few-examples", "Add rows.")
        case "diverge":
            raise JobFailure("The loss became NaN at step 3.", "training-diverged", "Lower learning_rate.")
        case "gpu-memory":
            raise OutOfMemoryError("allocated something of somebody")
        case "memory":
            raise MemoryError
        case "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        case "bug":
            raise KeyError("a text of the dataset")
        case "exit":
            os._exit(int(spec.request.metadata["code"]))
        case "helper":
            helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], pass_fds=_open_fds())
            Path(spec.request.metadata["helper"]).write_text(str(helper.pid))
        case "garbage":
            os.write(max(_open_fds()), b"\xff no event\n")


def _step_until(emit: Emit, stop: Callable[[], bool]) -> int:
    step = 0
    while not stop():
        step += 1
        emit(stepped(step, 1_000_000))
        time.sleep(0.02)
    return step


def _open_fds() -> tuple[int, ...]:
    """Give the pipes beyond stderr, as a careless library would inherit them."""
    fds = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    return tuple(fd for fd in fds if fd > 2 and Path(f"/proc/self/fd/{fd}").exists())


def resolved(spec: AttemptSpec) -> Resolved:
    wishes = Hyperparameters().model_dump() | {
        "num_train_epochs": 2,
        "batch_size": 4,
        "learning_rate": 1e-4,
        "head_learning_rate_multiplier": 1.0,
        "class_weights": "none",
        "dropout": 0.1,
        "max_length": 32,
        "precision": "fp32",
        "padding": "longest",
        "warmup_steps": 0,
        "warmup_ratio": None,
        "long_text": "truncate",
    }
    return Resolved(
        hyperparameters=ResolvedHyperparameters.model_validate(wishes),
        resolutions=[],
        total_steps=STEPS,
        device="toy device",
        base_model=spec.base_model,
    )


def stepped(step: int, total: int) -> Stepped:
    """Make a step."""
    return Stepped(
        step=step, total_steps=total, epoch=2 * step / total, loss=1 / step, learning_rate=1e-4, eta_seconds=1.0
    )


def evaluated(spec: AttemptSpec, split: str, step: int, *, improved: bool) -> Evaluated:
    """Make an evaluation of made-up scores."""
    scores = [ClassScores(label=label, precision=0.5, recall=0.5, f1=0.5, support=1) for label in spec.labels]
    evaluation = Evaluation(
        split=split,
        examples=len(scores),
        loss=0.7,
        accuracy=0.5,
        f1_macro=0.5,
        f1_weighted=0.5,
        precision_macro=0.5,
        precision_weighted=0.5,
        recall_macro=0.5,
        recall_weighted=0.5,
        per_class=scores,
        confusion_matrix=[[1] * len(scores)] * len(scores),
    )
    return Evaluated(
        step=step, epoch=2.0, evaluation=evaluation, metric_name="f1_macro", metric_value=0.5, improved=improved
    )


def write_bundle(spec: AttemptSpec, content: bytes) -> str:
    """Write a bundle whose files are not what their names say, and give the hash of its manifest."""
    folder = spec.bundle_dir
    for name in (ONNX, TOKENIZER, f"{WEIGHTS}/config.json", f"{WEIGHTS}/model.safetensors"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'{"model_type": "bert"}' if name.endswith("config.json") else content)
    manifest = Manifest(
        model=spec.model_name,
        job_id=spec.job_id,
        attempt=spec.attempt,
        created_at=datetime.now(UTC),
        family="encoder",
        labels=spec.labels,
        text=spec.request.text,
        tokenizer=TokenizerSettings(max_length=32, pad_token_id=0),
        base_model=spec.base_model,
        dataset=spec.dataset,
        hyperparameters={},
        resolutions=[],
        validation=None,
        test=None,
        exports=[],
        libraries={},
        files=describe_files(folder),
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return sha256_of(folder / MANIFEST)
