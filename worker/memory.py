"""The memory of a device: whether it ran out, and how to ask for less of it where no gradients are kept."""

from collections.abc import Callable
from typing import TypeVar

import torch

from worker.failures import out_of_memory

T = TypeVar("T")


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
