"""The loss of a student that has a teacher.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015.
"""

from torch import Tensor
from torch.nn import functional

from app.errors import JobFailure
from app.schemas.distillation import DistillationOptions


class Distillation:
    """Mixes what the labels say with what the teacher says."""

    def __init__(self, options: DistillationOptions) -> None:
        self._temperature = options.temperature
        self._alpha = options.alpha

    def mix(self, share: Tensor, logits: Tensor, teacher: Tensor | None, window_rows: int) -> Tensor:
        """Give a batch's share of the window's loss: alpha T^2 KL(teacher || student) + (1 - alpha) ``share``.

        The square keeps the teacher's gradients as large as those of the labels, whatever the temperature. Both logits
        are (batch, classes); the divergence is a mean over the rows of the window.
        """
        if teacher is None:
            raise JobFailure(
                detail="A batch has come without its teacher's answers.", code="no-teacher", kind="internal"
            )
        student = functional.log_softmax(logits.float() / self._temperature, dim=-1)
        wanted = functional.log_softmax(teacher.float() / self._temperature, dim=-1)
        divergence = functional.kl_div(student, wanted, reduction="sum", log_target=True) / window_rows
        return self._alpha * self._temperature**2 * divergence + (1.0 - self._alpha) * share
