"""What a run does when the memory of the GPU runs out: smaller parts of each batch, then activations computed twice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from app.errors import JobFailure


@dataclass(slots=True)
class Ladder:
    """The rungs a run has taken; none of them changes batch, steps or seed, nor what is computed beyond rounding."""

    batch_size: int
    recompute: Callable[[], None] | None
    """Turns gradient checkpointing on; None: it is on already, or the model has none."""
    parts: int = 1
    """Of a batch, each a forward pass of its own."""
    recomputes: bool = False
    recomputed_from_the_start: bool = False

    def climb(self) -> bool:
        """Take the next rung: twice as many parts, after single texts gradient checkpointing. False: none is left."""
        if self.parts < self.batch_size:
            self.parts = min(2 * self.parts, self.batch_size)
            return True
        if self.recompute is None or self.recomputes:
            return False
        self.recompute()
        self.recomputes = True
        return True

    def state(self) -> dict[str, Any]:
        """Give what a resumed run needs so that it need not fail its way up again."""
        return {"parts": self.parts, "recomputes": self.recomputes}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        self.parts = state["parts"]
        if state["recomputes"] and not self.recomputes and self.recompute is not None:
            self.recompute()
            self.recomputes = True

    def exhausted(self, step: int) -> JobFailure:
        """Give the failure of a run that stands on the last rung."""
        twice = ", with gradient checkpointing" if self.recomputes or self.recomputed_from_the_start else ""
        return JobFailure(
            detail=f"The memory of the GPU ran out at step {step}, with one text at a time{twice}.",
            code="gpu-out-of-memory",
            remedy="Lower max_length or the max_chunks of a hierarchical family, train only the head with freeze_base, "
            "use a smaller base model, or a GPU with more memory that no other process uses.",
            kind="resource",
            extra={"step": step, "texts_at_once": 1},
        )


def remember_dice(device: torch.device) -> Callable[[], None]:
    """Give a function that puts the generators of dropout back to where they are now."""
    cpu = torch.get_rng_state()
    if device.type != "cuda":
        return lambda: torch.set_rng_state(cpu)
    gpu = torch.cuda.get_rng_state(device)

    def put_back() -> None:
        torch.set_rng_state(cpu)
        torch.cuda.set_rng_state(gpu, device)

    return put_back
