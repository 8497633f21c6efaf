"""The memory of a device: whether it ran out, what it held, and how to ask for less where no gradients are kept."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import torch

from worker.failures import out_of_memory

T = TypeVar("T")


class Memory(Protocol):
    """A memory that training must fit into."""

    total: int | None
    """Bytes; None: not known."""

    def forget_peak(self) -> None:
        """Begin to measure anew."""

    def peak_beyond(self, held: int) -> int:
        """Give the most bytes that were in use since, without ``held`` ones that stay there all the time."""


class GpuMemory:
    """The memory of one GPU, as PyTorch hands it out."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.total: int | None = torch.cuda.get_device_properties(device).total_memory

    def forget_peak(self) -> None:
        """Begin to measure anew."""
        torch.cuda.reset_peak_memory_stats(self._device)

    def peak_beyond(self, held: int) -> int:
        """Give the most bytes that were in use since, without ``held`` ones that stay there all the time."""
        return max(0, torch.cuda.max_memory_allocated(self._device) - held)


def memory_of(device: torch.device) -> Memory | None:
    """Give the memory that limits training on ``device``; None on a CPU, where it hardly ever does."""
    return GpuMemory(device) if device.type == "cuda" else None


def ran_out(error: RuntimeError) -> bool:
    """Tell whether an error means that the memory of the GPU did not suffice; its libraries say so in other words."""
    return isinstance(error, torch.OutOfMemoryError) or "_STATUS_ALLOC_FAILED" in str(error)


def release() -> None:
    """Give what PyTorch holds back of the GPU's memory to whoever asks next, in pieces of any size."""
    torch.cuda.empty_cache()


class Portion:
    """How many texts go through a model at once where it only answers; halved when memory does not suffice."""

    def __init__(self, size: int, tell: Callable[[int], None]) -> None:
        """Begin with ``size``; ``tell`` hears every smaller one."""
        self.size = size
        self._tell = tell

    def of(self, work: Callable[[int], T]) -> T:
        """Give what ``work`` makes with this many texts at once; it begins anew with half of them when memory runs out.

        Raises JobFailure ``gpu-out-of-memory`` when single texts are too much.
        """
        while True:
            try:
                return work(self.size)
            except RuntimeError as error:
                if not ran_out(error):
                    raise
                if self.size == 1:
                    raise out_of_memory(device=True) from error
            # Only here, since the exception itself held on to what did not fit.
            self.size = self.size // 2
            release()
            self._tell(self.size)
