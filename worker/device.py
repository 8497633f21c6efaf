"""The machine a job runs on: device, threads, arithmetic, seeds and memory."""

import os
import platform
import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from app.processors import usable_cpus
from app.schemas.base import Auto
from app.schemas.hyperparameters import Precision
from worker.probe import Probe

MIB = 1024 * 1024
BF16_MUST_GAIN = 1.2
"""Speed-up of a linear layer from which bf16 is worth its rounding."""
GAIN_SECONDS = 0.1
"""Spent on each arithmetic; what comes out is remembered for all jobs."""
THREAD_MUST_GAIN = 1.1
"""Speed-up that a larger team of threads must bring; on a shared machine fewer threads suffer less."""


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """The arithmetic of the forward pass, and why."""

    precision: Precision
    reason: str
    slow: bool = False
    """Asked for, and slower here than fp32."""


def choose_device() -> torch.device:
    """Take the first CUDA device this process may see, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def device_name(device: torch.device) -> str:
    """Name the device as a person would."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU ({cpu_model()})"


def cpu_model() -> str:
    """Name the processor, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def use_threads(wish: int) -> int:
    """Set torch's threads to ``wish``, or for 0 to the smallest team that is about as fast as any; give the number.

    Measured at every start and never remembered: what is free depends on who else runs here now.
    """
    threads = wish or _fastest_team(usable_cpus())
    torch.set_num_threads(threads)
    return threads


def _fastest_team(cpus: int) -> int:
    sizes = sorted({*(1 << power for power in range(cpus.bit_length()) if 1 << power <= cpus), cpus})
    best, least = 1, float("inf")
    for size in sizes:
        torch.set_num_threads(size)
        seconds = best_seconds(_linear_pass(torch.float32))
        if seconds * THREAD_MUST_GAIN < least:
            best, least = size, seconds
    return best


def choose_precision(wish: Precision | Auto, device: torch.device, probe: Probe) -> PrecisionChoice:
    """Honour a wish; for auto take bf16 where it pays, fp16 on CUDA cards that have nothing better, else fp32."""
    if wish == "fp32":
        return PrecisionChoice("fp32", "asked for")
    fast = _fast_precision(device, probe)
    if wish == "auto" or wish == fast.precision:
        return fast
    slow = device.type == "cpu" or (wish == "bf16" and fast.precision != "bf16")
    return PrecisionChoice(wish, "asked for", slow=slow)


def _fast_precision(device: torch.device, probe: Probe) -> PrecisionChoice:
    if device.type == "cuda":
        return cuda_precision(torch.cuda.get_device_capability(device))
    supported = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return cpu_precision(supported=supported, gain=lambda: probe.remembered("bf16_gain_of_one_thread", bf16_gain))


def cpu_precision(*, supported: bool, gain: Callable[[], float]) -> PrecisionChoice:
    """Choose by what was measured, where the CPU has bf16 at all."""
    if not supported:
        return PrecisionChoice("fp32", "this CPU has no fast bf16")
    times = gain()
    if times >= BF16_MUST_GAIN:
        return PrecisionChoice("bf16", f"bf16 was measured {times:.1f} times as fast as fp32 on this CPU")
    return PrecisionChoice("fp32", f"bf16 was measured only {times:.1f} times as fast as fp32 on this CPU")


def cuda_precision(capability: tuple[int, int]) -> PrecisionChoice:
    """Choose by the generation of an NVIDIA GPU."""
    generation = f"compute capability {capability[0]}.{capability[1]}"
    if capability >= (8, 0):
        return PrecisionChoice("bf16", f"the GPU computes bf16 in hardware ({generation})")
    if capability >= (7, 0):
        return PrecisionChoice("fp16", f"the GPU has fp16 tensor cores but no bf16 ({generation})")
    return PrecisionChoice("fp32", f"the GPU has no tensor cores ({generation})")


def bf16_gain() -> float:
    """Measure how many times faster a linear layer runs in bf16 than in fp32 on the CPU, forward and backward.

    One thread, by what it computes and not by the clock, and both by turns: what is measured is remembered, and teams
    of threads that wait for each other, or a pass that had to wait for the processor, had measured 1.1 where it is 4.
    """
    team = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        passes = [_linear_pass(torch.float32), _linear_pass(torch.bfloat16)]
        fp32, bf16 = best_in_turns(passes, GAIN_SECONDS, clock=time.thread_time)
    finally:
        torch.set_num_threads(team)
    return fp32 / bf16


def _linear_pass(dtype: torch.dtype) -> Callable[[], None]:
    """Give one pass of the layer that takes most of a small encoder's time, on a batch of 32 tweets."""
    weight = torch.ones(1536, 384, dtype=dtype, requires_grad=True)
    rows = torch.ones(960, 384, dtype=dtype)

    def once() -> None:
        torch.nn.functional.linear(rows, weight).sum().backward()  # type: ignore[no-untyped-call]

    return once


def best_seconds(work: Callable[[], object], seconds: float = 0.04) -> float:
    """Time ``work`` for about so many seconds and take the best: neighbours only ever make it slower."""
    return best_in_turns([work], seconds)[0]


def best_in_turns(
    works: Sequence[Callable[[], object]], seconds: float, *, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Time works by turns, for about so many seconds each, and take the best of each.

    Where this thread computes alone, ``time.thread_time`` leaves out what it waits for the processor.
    """
    for work in works:
        work()
    best, until = [float("inf")] * len(works), clock() + seconds * len(works)
    while clock() < until or best[-1] == float("inf"):
        for place, work in enumerate(works):
            start = clock()
            work()
            best[place] = min(best[place], clock() - start)
    return best


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, numpy and torch on all devices."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def use_deterministic(wish: bool) -> None:
    """Allow only deterministic kernels; or any, and let cuDNN try out which is fastest."""
    if wish:
        # Read by cuBLAS when it makes its first handle; without it torch refuses matrix products on CUDA.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(wish)
    torch.backends.cudnn.deterministic = wish
    torch.backends.cudnn.benchmark = not wish


def peak_memory_mb(device: torch.device) -> float:
    """Give the most memory this process has held: of the GPU where there is one, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MIB if sys.platform == "darwin" else peak / 1024
