"""Products in fp32 where nothing learns, by oneDNN where that is faster than what torch takes by itself.

torch leaves products in fp32 to MKL, which on processors of AMD does without AVX-512: measured with one thread of a
Zen 5, 102 GFLOP/s, and 227 by oneDNN, which torch has on board as well. Both compute in fp32; sums are added up in
another order. Gradients would need products of their own, so this is for answers alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from worker.device import best_in_turns

MUST_GAIN = 1.3
"""Speed-up from which another library is worth its place; where it is of use at all, it is about two."""
MEASURED_SECONDS = 0.01


@contextmanager
def quick_products(device: torch.device) -> Iterator[None]:
    """Open a region in which linear layers answer as fast as this machine can, in fp32 on a CPU."""
    if device.type != "cpu" or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or not is_faster():
        yield
        return
    with _ByOneDnn():
        yield


@cache
def is_faster() -> bool:
    """Measure, once in a process, whether oneDNN is faster here."""
    weight, rows = torch.ones(1536, 384), torch.ones(960, 384)
    with torch.inference_mode():
        try:
            ways = [lambda: functional.linear(rows, weight), lambda: _linear(rows, weight)]
            usual, ours = best_in_turns(ways, MEASURED_SECONDS)
        except (AttributeError, RuntimeError):  # this build of torch has none
            return False
        return usual >= MUST_GAIN * ours


class _ByOneDnn(TorchFunctionMode):
    """Takes the place of ``functional.linear``."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call one function of torch, or what stands in for it."""
        if func is functional.linear and not kwargs and all(each is None or _suits(each) for each in args):
            return _linear(*args)
        return func(*args, **(kwargs or {}))


def _suits(tensor: Tensor) -> bool:
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu"


def _linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    answer: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return answer
