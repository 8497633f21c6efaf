"""Runs that blow up or jump about: diverged, exploding, oscillating."""

from itertools import pairwise
from statistics import fmean, median

from app.doctor import advice
from app.doctor.case import GRAD_NORM, Case
from app.doctor.history import Curve, Point, extreme
from app.doctor.wording import at, number
from app.schemas.diagnoses import Change, Diagnosis

DIVERGED_CODE = "training-diverged"
RISE = 1.5
"""A training loss half again above its lowest value is no noise any more."""
ABOVE_CHANCE = 1.1
"""A model that knows nothing has the loss of chance; beyond it the weights themselves are broken."""
LARGE_NORM, NORM_JUMP = 100.0, 20.0
"""Gradient norms of a fine-tuning run lie near 1; a hundred, and twenty times the usual, is an explosion."""
SPIKE = 2.0
BUCKETS = 12
FEWEST_SWINGS = 5
LOSS_SWING, METRIC_SWING = 0.15, 0.03
"""Mean jump from one stretch to the next: of the loss in units of chance, of the metric in points."""
NET = 0.5
"""Share of the way travelled that a steady curve at least keeps as progress."""


def diverged(case: Case) -> Diagnosis | None:
    """Find the first loss that was no number any more."""
    broken = [curve for name in case.history.names if (curve := case.history.curve(name)).broken and _matters(name)]
    if not broken and case.facts.error_code != DIVERGED_CODE:
        return None
    curve = min(broken, key=_broken_step, default=case.loss)
    points = [*curve.points[-2:], curve.broken] if curve.broken else list(curve.points[-3:])
    seen = [point for point in points if point is not None]
    ran = " → ".join(number(point.value) for point in sorted(seen, key=lambda point: point.step))
    where = f"{curve.name} at step {curve.broken.step}" if curve.broken else "the job ended for it"
    return Diagnosis(
        code="diverged",
        severity="critical",
        title="Training diverged: the loss became NaN or infinite",
        evidence=f"No finite number any more: {where}" + (f" (last values: {ran})." if ran else "."),
        observations=curve.observe(*seen),
        cause="Steps too large for the model: the weights overflowed. Usual reasons are the learning rate"
        f"{advice.says(case.facts, 'learning_rate')}, missing clipping, extreme class weights, or 16-bit numbers.",
        changes=_calmer(case, divisor=10),
    )


def exploding(case: Case) -> Diagnosis | None:
    """Find a training loss that climbs above chance, or gradients that nothing holds back."""
    return _exploding_loss(case) or _exploding_gradients(case)


def oscillating(case: Case) -> Diagnosis | None:
    """Find curves that jump up and down instead of going somewhere, or single spikes."""
    swing = LOSS_SWING * case.chance if case.smaller_is_better else METRIC_SWING
    if _swings(case.metric, swing):
        return _oscillation(case, case.metric, "The evaluations jump up and down")
    stretches = case.train_loss.buckets(BUCKETS)
    if _swings(stretches, LOSS_SWING * case.chance):
        return _oscillation(case, stretches, "The training loss jumps up and down")
    spike = _spike(case)
    if spike is not None:
        return _oscillation(case, Curve(case.train_loss.name, tuple(spike)), "The training loss has a sudden spike")
    return None


def _exploding_loss(case: Case) -> Diagnosis | None:
    curve = case.train_loss.buckets(10) if len(case.train_loss) > 1 else case.eval_loss
    if len(curve) < 2:
        return None
    low, last = extreme(curve.points[:-1], min), curve.last
    if last.value < RISE * low.value or last.value < ABOVE_CHANCE * case.chance or last.value <= low.value:
        return None
    return Diagnosis(
        code="exploding",
        severity="critical",
        title="The loss is climbing",
        evidence=f"{curve.name} rose from {at(low)} to {at(last)}; "
        f"a model that knows nothing has {number(case.chance)}.",
        observations=curve.observe(low, last),
        cause=f"The learning rate{advice.says(case.facts, 'learning_rate')} is too high for this model and batch, "
        "or nothing limits the gradients.",
        changes=_calmer(case, divisor=5),
    )


def _exploding_gradients(case: Case) -> Diagnosis | None:
    norms = case.history.curve(GRAD_NORM)
    clipped = case.facts.number("max_grad_norm") is not None
    if clipped or len(norms) < 2:
        return None  # clipping is there to take the single spike; only a rising loss shows that it did not suffice
    peak, usual = extreme(norms.points, max), median(norms.values)
    if peak.value < LARGE_NORM or peak.value < NORM_JUMP * max(usual, 0.0):
        return None
    return Diagnosis(
        code="exploding",
        severity="warning",
        title="Gradients explode and are not clipped",
        evidence=f"The gradient norm reached {at(peak)}; usually it is {number(usual)}.",
        observations=norms.observe(peak),
        cause="Single batches push the weights far off, because gradients are not scaled down.",
        changes=_calmer(case, divisor=2),
    )


def _calmer(case: Case, divisor: float) -> list[Change]:
    facts = case.facts
    return [
        *advice.lower_learning_rate(facts, divisor, "smaller steps cannot overshoot as far"),
        *advice.clip_gradients(facts, "clipping bounds what a single batch can do"),
        *advice.warm_up(facts, 0.1, "a slow start keeps the fresh head from shaking the encoder"),
        *advice.tame_class_weights(facts, "with extreme weights one rare row moves the whole model"),
        *advice.safer_precision(facts, "rules out an overflow of 16-bit numbers; go back once the run is stable"),
    ]


def _matters(name: str) -> bool:
    return name.endswith("/loss") or name == GRAD_NORM


def _broken_step(curve: Curve) -> int:
    return curve.broken.step if curve.broken else 0


def _swings(curve: Curve, least: float) -> bool:
    """Tell a curve that turns at least every second time, by ``least`` on average, and gets nowhere."""
    jumps = [after - before for before, after in pairwise(curve.values)]
    if len(jumps) < FEWEST_SWINGS - 1:
        return False
    turns = sum(1 for before, after in pairwise(jumps) if before * after < 0)
    travelled = sum(map(abs, jumps))
    return (
        2 * turns >= len(jumps)
        and travelled / len(jumps) >= least
        and abs(curve.last.value - curve.first.value) < NET * travelled
    )


def _spike(case: Case) -> tuple[Point, Point, Point] | None:
    """Find one point far above both its neighbours and above chance, with a model that had already learned."""
    points = case.train_loss.points
    for before, peak, after in zip(points, points[1:], points[2:], strict=False):
        around = max(before.value, after.value)
        if peak.value >= SPIKE * around and peak.value > case.chance and around < case.chance:
            return before, peak, after
    return None


def _oscillation(case: Case, curve: Curve, what: str) -> Diagnosis:
    facts, shown = case.facts, curve.points[-6:]
    jump = fmean(abs(b - a) for a, b in pairwise(curve.values))
    return Diagnosis(
        code="oscillating",
        severity="warning",
        title=f"{what}: unstable training",
        evidence=f"{curve.name}: {' → '.join(number(point.value) for point in shown)} "
        f"(steps {shown[0].step} to {shown[-1].step}); it changes by {number(jump)} from one to the next.",
        observations=curve.observe(*shown),
        cause=f"The learning rate{advice.says(facts, 'learning_rate')} is too high or the batch too small: each update "
        "undoes the one before. A validation split of few rows jumps by chance, too.",
        changes=[
            *advice.lower_learning_rate(facts, 2, "halved steps overshoot less"),
            *advice.larger_batch(facts, "averaging over twice the rows steadies each update"),
            *advice.clip_gradients(facts, "clipping bounds what a single batch can do"),
            *advice.warm_up(facts, 0.1, "a slow start avoids early jumps"),
            *advice.more_patience(facts, 5, "noisy evaluations need a longer wait before stopping"),
        ],
    )
