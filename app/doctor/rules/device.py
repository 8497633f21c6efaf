"""Runs that leave a GPU alone: gpu_unused."""

from app.doctor.case import THROUGHPUT, Case
from app.doctor.wording import number
from app.schemas.diagnoses import Diagnosis


def gpu_unused(case: Case) -> Diagnosis | None:
    """Find a job that computed on the processor where there is a GPU, or where one was asked for."""
    if not case.facts.gpu_unused:
        return None
    speed = case.history.curve(THROUGHPUT)
    pace = f", at {number(speed.last.value)} examples per second" if len(speed) else ""
    return Diagnosis(
        code="gpu_unused",
        severity="warning",
        title="The GPU was not used",
        evidence=f"It trained on {case.facts.device or 'the processor'}{pace}, although its worker has a GPU or its "
        "queue is that of GPUs.",
        observations=speed.observe(speed.last) if len(speed) else [],
        cause="PyTorch on the worker does not see the GPU: it is a build without CUDA or for another CUDA than the "
        "driver's, the container was not given the device, or CUDA_VISIBLE_DEVICES hides it.",
        changes=[],
    )
