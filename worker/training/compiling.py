"""torch.compile where it works: a compiler is needed at run time, and not every machine has one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Compiled:
    """A model to be called in training; its weights are those of the model it was made of."""

    forward: nn.Module
    obstacle: str | None
    """Why it was left uncompiled; None: it was not."""


Backend = str | Callable[..., Any]


def compile_model(model: nn.Module, backend: Backend = "inductor") -> Compiled:
    """Compile for texts of any length; where a tiny model cannot be compiled, give ``model`` itself.

    The compiling itself happens in the first training steps. What cannot be compiled there runs uncompiled.
    """
    obstacle = _obstacle(backend)
    if obstacle is not None:
        return Compiled(model, obstacle)
    torch._dynamo.config.suppress_errors = True
    compiled: nn.Module = torch.compile(model, dynamic=True, backend=backend)  # type: ignore[assignment]
    return Compiled(compiled, None)


def _obstacle(backend: Backend) -> str | None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    probe = torch.compile(nn.Linear(4, 4).to(device), backend=backend)
    try:
        with torch._dynamo.config.patch(suppress_errors=False):
            probe(torch.ones(2, 4, device=device)).sum().backward()
    except Exception as error:  # noqa: BLE001 - a missing compiler shows in many ways, and none may end the job
        return type(error).__name__
    return None
