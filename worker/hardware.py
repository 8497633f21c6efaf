"""What this machine trains on, found out without loading torch into the worker."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.processors import usable_cpus
from app.queue.names import CPU_QUEUE, DEFAULT_QUEUE, GPU_QUEUE

PROBE_SECONDS = 10.0


@dataclass(frozen=True)
class Hardware:
    """The device as a person would name it, and the GPUs that slots share out, as CUDA_VISIBLE_DEVICES names them."""

    name: str
    gpus: tuple[str, ...] = ()

    @property
    def devices(self) -> int:
        """Give how many devices one job may train on: GPUs, or without any as many processes as there are cores."""
        return len(self.gpus) or usable_cpus()

    @property
    def queues(self) -> tuple[str, ...]:
        """Name the queues that a worker here takes jobs from, unless it is told otherwise."""
        return (DEFAULT_QUEUE, GPU_QUEUE if self.gpus else CPU_QUEUE)


def detect(environment: Mapping[str, str] = os.environ) -> Hardware:
    """Ask the driver's own tool for GPUs; without one this machine trains on its processor."""
    names = _gpu_names()
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if names and visible is not None:
        gpus = tuple(part.strip() for part in visible.split(",") if part.strip())
    else:
        gpus = tuple(str(index) for index in range(len(names)))
    if not gpus or gpus[0] == "-1":
        return Hardware(_processor())
    more = f" and {len(gpus) - 1} more" if len(gpus) > 1 else ""
    return Hardware(f"{names[0]}{more}", gpus)


def _gpu_names() -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        # A container may be given the device without the tool; torch in the child will name it.
        return ["NVIDIA GPU"] if Path("/dev/nvidia0").exists() else []
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed argument vector, found on the operator's own PATH
            [tool, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def _processor() -> str:
    """Name the processor by its kind and its cores that this process may use."""
    cores = usable_cpus()
    return f"cpu ({platform.machine()}, {cores} core{'s' if cores > 1 else ''})"
