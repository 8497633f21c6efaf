"""A GPU's memory on a machine without one: what the backward pass needs of the forward pass is counted and limited."""

from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn


class _Kept:
    """A tensor that is kept for the backward pass, for as long as autograd keeps it."""

    def __init__(self, memory: "SimulatedMemory", tensor: Tensor) -> None:
        self.tensor = tensor.detach()
        self._memory = memory

    def __del__(self) -> None:
        self._memory.free(self.tensor)


class SimulatedMemory:
    """Counts activations while it is entered, weights aside, and has no room for more than ``limit`` bytes of them.

    Activations inside a checkpointed layer are not kept, and so not counted. Where no gradients are needed, no module
    may be called with more than ``rows`` rows at once.
    """

    def __init__(self, limit: float = float("inf"), rows: int | None = None) -> None:
        self.limit = limit
        self.rows = rows
        self.peak = 0
        self.total: int | None = None
        self._used: dict[int, list[int]] = {}  # bytes and keepers of each storage
        self._hooks: Any = None

    def __enter__(self) -> Self:
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda kept: kept.tensor)
        self._hooks.__enter__()
        self._calls = nn.modules.module.register_module_forward_pre_hook(self._called)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the device before the end."""
        if self._hooks is not None:
            self._calls.remove()
            self._hooks.__exit__()
            self._hooks = None

    def free(self, tensor: Tensor) -> None:
        """Forget one keeper of a tensor."""
        entry = self._used[tensor.untyped_storage().data_ptr()]
        entry[1] -= 1
        if entry[1] == 0:
            del self._used[tensor.untyped_storage().data_ptr()]

    def forget_peak(self) -> None:
        """Begin to measure anew."""
        self.peak = sum(size for size, _ in self._used.values())

    def peak_beyond(self, held: int) -> int:
        """Give the most bytes of activations; what else is held was not counted."""
        return self.peak

    def _pack(self, tensor: Tensor) -> Any:
        entry = self._used.setdefault(tensor.untyped_storage().data_ptr(), [self._size(tensor), 0])
        entry[1] += 1
        kept = _Kept(self, tensor)
        used = sum(size for size, _ in self._used.values())
        if used > self.limit:
            raise torch.OutOfMemoryError(f"{used} bytes are more than {self.limit}")
        self.peak = max(self.peak, used)
        return kept

    def _size(self, tensor: Tensor) -> int:
        owner = tensor if tensor._base is None else tensor._base
        return 0 if isinstance(owner, nn.Parameter) else tensor.untyped_storage().nbytes()

    def _called(self, _module: nn.Module, inputs: tuple[Any, ...]) -> None:
        rows = inputs[0].shape[0] if inputs and isinstance(inputs[0], Tensor) and inputs[0].ndim == 3 else 0
        if self.rows is not None and rows > self.rows and not torch.is_grad_enabled():
            raise torch.OutOfMemoryError(f"{rows} rows are more than {self.rows}")
