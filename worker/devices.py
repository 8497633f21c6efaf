"""How many devices a job trains on, and what each of its processes may use of the machine."""

import torch

from app.processors import usable_cpus
from app.schemas.hyperparameters import Resolution, ResolvedHyperparameters
from worker.events import AttemptSpec
from worker.failures import too_few_devices

FEWEST_TEXTS = 8
"""Of a step, for each device, where nobody says how many devices: with fewer, more of them gain hardly anything."""


def refuse_too_few(spec: AttemptSpec, device: torch.device) -> None:
    """Raise JobFailure ``too-few-devices`` when there are fewer here than the attempt is to train on."""
    if device.type == "cuda":
        there, kind = torch.cuda.device_count(), "usable GPU"
    else:  # processes share a processor; more of them than it has cores would only be in each other's way
        there, kind = usable_cpus(), "processor core"
    if spec.devices > there:
        raise too_few_devices(spec.devices, there, kind)


def threads_of_each(spec: AttemptSpec, device: torch.device) -> int:
    """Give each process its part of the processor; 0: one alone may take what is fastest."""
    if spec.devices == 1:
        return spec.threads
    if device.type == "cuda" and spec.threads:
        return spec.threads
    return max(1, (spec.threads or usable_cpus()) // spec.devices)


def devices_of(spec: AttemptSpec, wishes: ResolvedHyperparameters) -> tuple[int, list[Resolution]]:
    """Decide on how many of its devices an attempt trains, and say so where the request does not."""
    wish = spec.request.hyperparameters.devices
    texts = wishes.batch_size * wishes.gradient_accumulation_steps
    most = max(1, texts // FEWEST_TEXTS) if wish == "auto" else texts
    count = min(spec.devices, most)
    if wish == count:
        return count, []
    if count < spec.devices:
        reason = f"each step learns from {texts} texts"
    elif spec.cuda_device is None:
        reason = "on a processor one process uses all cores"
    else:
        reason = "the GPUs that this worker has for a job"
    return count, [Resolution(field="devices", value=count, reason=reason)]
