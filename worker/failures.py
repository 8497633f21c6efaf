"""Why an attempt failed, in words for a person, for the causes that both sides of a worker meet."""

import errno
from collections.abc import Mapping
from typing import Any

from app.errors import AppError, FieldError, JobFailure, StorageFull

_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_disk_full(error: BaseException) -> bool:
    """Say whether an exception means that no space is left."""
    return isinstance(error, StorageFull) or (isinstance(error, OSError) and error.errno in _FULL)


def storage_full(phase: str) -> JobFailure:
    """Give the failure of a full disk while ``phase`` was done."""
    return JobFailure(
        detail=f"There is no space left to finish {phase}.",
        code="storage-full",
        remedy="Free space in the data folder of the worker or in the artifact store, then submit the job again.",
        kind="resource",
    )


def out_of_memory(*, device: bool) -> JobFailure:
    """Give the failure of an allocation that nobody else explained better."""
    return JobFailure(
        detail=f"The memory of the {'GPU' if device else 'machine'} ran out.",
        code="gpu-out-of-memory" if device else "out-of-memory",
        remedy="Lower batch_size, max_length or the max_chunks of a hierarchical family, set gradient_checkpointing, "
        "or use a smaller base model.",
        kind="resource",
    )


def too_few_devices(wished: int, there: int, kind: str) -> JobFailure:
    """Give the failure of a job that wants more devices than its worker has."""
    has = f"{there} {kind}{'' if there == 1 else 's'}"
    return JobFailure(
        detail=f"devices is {wished}, but the worker that took the job has {has}.",
        code="too-few-devices",
        remedy=f"Set devices to {there} or less, or to 'auto'; or submit the job to workers that have more.",
        errors=(FieldError("/hyperparameters/devices", "too-few-devices", "more than there are", allowed=there),),
        kind="resource",
    )


def crashed(what: str) -> JobFailure:
    """Give the failure of a training process that ended without saying why; it is tried again."""
    return JobFailure(
        detail=what,
        code="training-crashed",
        remedy="The log of the attempt, kept on the worker, has the details. If it happens again, please report it.",
        kind="internal",
        final=False,
    )


def import_crashed(what: str | None) -> JobFailure:
    """Give the failure of an import whose process broke, with an error of this name or without a word."""
    return JobFailure(
        detail=f"Fetching the dataset broke off with {what}."
        if what
        else "The process that fetched the dataset ended without a word, as it does when memory runs out.",
        code="import-crashed",
        remedy="Fetch a part of it with files_per_split, or give the worker more memory. The worker's log has more.",
        kind="internal",
    )


def batch_crashed(what: str) -> JobFailure:
    """Give the failure of a batch prediction whose process broke with an error of this name."""
    return JobFailure(
        detail=f"Classifying the texts broke off with {what}.",
        code="batch-crashed",
        remedy="The log of the worker has the details. If it happens again, please report it.",
        kind="internal",
    )


def killed_for_memory(*, certain: bool) -> JobFailure:
    """Give the failure of a process that SIGKILL ended: nearly always the kernel's out-of-memory killer."""
    return JobFailure(
        detail=(
            "The machine ran out of memory and its kernel killed the training process."
            if certain
            else "The training process was killed from outside, as a kernel does when memory runs out."
        ),
        code="out-of-memory" if certain else "worker-killed",
        remedy="Lower batch_size, max_length or the max_chunks of a hierarchical family, use a smaller base model, "
        "or give the worker more memory.",
        kind="resource",
        final=False,
    )


def stalled() -> JobFailure:
    """Give the failure of a process that lived but got no further."""
    return JobFailure(
        detail="The training process made no progress for too long and was taken for hung.",
        code="stalled",
        remedy="If single steps really take that long, raise TUNESMITH_STALL_SECONDS on the worker.",
        kind="internal",
        final=False,
    )


def stuck(phase: str) -> JobFailure:
    """Give the failure of a worker that hangs in a call which never returns, as a disk that is away can make one."""
    return JobFailure(
        detail=f"The worker got stuck in a call that did not return while {phase}.",
        code="stalled",
        remedy="Look whether the artifact store and the data folder of the worker answer. If calls really take that "
        "long, raise TUNESMITH_STALL_SECONDS on the worker.",
        kind="internal",
        final=False,
    )


def budget_used_up(seconds: float) -> JobFailure:
    """Give the failure of a job whose budget was used up before anything was saved that could become a version."""
    return JobFailure(
        detail=f"The {seconds:g} seconds of training that the job may take are used up, and nothing was saved that "
        "could become a version.",
        code="budget-used-up",
        remedy="Raise max_train_seconds or max_gpu_seconds, or have it saved more often by save_strategy 'steps'.",
        kind="resource",
    )


def overran() -> JobFailure:
    """Give the failure of a process that was to end training at once, and did not."""
    return JobFailure(
        detail="The training process did not end although its budget was used up and nothing was left to train.",
        code="budget-overrun",
        remedy="If a single step or an evaluation really takes that long, raise TUNESMITH_BUDGET_GRACE_SECONDS on the "
        "worker.",
        kind="internal",
        final=False,
    )


def from_app_error(error: AppError) -> JobFailure:
    """Give the failure that a permanent error of the app means for a job."""
    if isinstance(error, JobFailure):
        return error
    return JobFailure(detail=error.detail, code=error.code, remedy=error.remedy, kind=error.category)


def from_dict(error: Mapping[str, Any]) -> JobFailure:
    """Give the failure that another process sent as ``JobFailure.as_dict``."""
    return JobFailure(detail=error["detail"], code=error["code"], remedy=error["remedy"], kind=error["category"])
