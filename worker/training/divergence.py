"""Training that has gone wrong beyond return, and what may help."""

from app.errors import JobFailure
from worker.training.meter import EXPLODED_NORM, Meter
from worker.training.precision import LEAST_SCALE


def diverged_at(meter: Meter, step: int, *, scaled: bool, scale: float | None) -> tuple[int, str] | None:
    """Give the step at which a run diverged, and how it shows; None: it is well.

    Under a loss scale an overflow of the gradients is no divergence: such a step is skipped. ``scale`` is that of the
    newest ``step``, where there is one and it is known.
    """
    bad_step, exploded = meter.first_bad_step(norms=not scaled), meter.exploded_step()
    if scale is not None and scale < LEAST_SCALE and bad_step is None:
        bad_step = step
    if exploded is not None and (bad_step is None or exploded < bad_step):
        return exploded, f"the norm of its gradients is above {EXPLODED_NORM:g}: they exploded"
    return None if bad_step is None else (bad_step, "the loss or its gradients are no longer finite")


def divergence(step: int, what: str, *, rate: float, scaled: bool, clipped: bool) -> JobFailure:
    """Make the failure of a run whose learning rate was ``rate`` when it diverged."""
    fp16 = " or set precision to 'bf16' or 'fp32'" if scaled else ""
    clip = "" if clipped else ", set max_grad_norm to 1.0"
    return JobFailure(
        detail=f"Training diverged at step {step}: {what} (learning rate {rate:.3g}).",
        code="training-diverged",
        remedy=f"Lower learning_rate (a tenth is a good try), lengthen the warm-up{clip}{fp16}.",
        extra={"step": step, "learning_rate": rate},
    )
