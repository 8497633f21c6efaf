"""Runs that learn nothing, little, or no more: not_learning, slow_convergence, plateau."""

from itertools import pairwise

from app.doctor import advice
from app.doctor.case import EVAL_LOSS, GRAD_NORM, Case
from app.doctor.history import extreme
from app.doctor.wording import at, number, percent, when
from app.schemas.diagnoses import Change, Diagnosis

FLAT = 0.03
"""A loss that fell by less than 3 % has not moved."""
STILL_HIGH = 0.8
"""Share of the loss of chance above which a model has learned next to nothing."""
METRIC_MOVED = 0.05
SLOW = 0.2
"""A whole run that takes less than a fifth off the loss is slow."""
FLAT_METRIC = 0.02
FEWEST_EVALUATIONS = 3
LONG_TAIL, FLAT_TAIL = 4, 0.01
"""Evaluations without any gain that make a plateau, and how little they may differ."""
GOOD_F1, GOOD_ACCURACY = 0.65, 0.7
VANISHED_NORM = 1e-4


def not_learning(case: Case) -> Diagnosis | None:
    """Find a loss that stays where an untrained model stands."""
    loss, facts = case.loss, case.facts
    if len(loss) < 3 or loss.last.step <= 2 * (facts.number("warmup_steps") or 0) or not _ran_long_enough(case, 1):
        return None
    start, end = loss.head(0.25), loss.tail(0.25)
    fell = (start - end) / start if start > 0 else 0.0
    if fell >= FLAT or fell < -0.2 or case.height(end, resting=case.resting) < STILL_HIGH or _metric_moved(case):
        return None
    return Diagnosis(
        code="not_learning",
        severity="critical",
        title="The model is not learning",
        evidence=f"{loss.name} went from {at(loss.first)} to {at(loss.last)}, a change of {percent(-fell)}; "
        f"a model that knows nothing has {number(case.chance)}.",
        observations=loss.observe(loss.first, loss.last),
        cause=_why_not_learning(case),
        changes=_wake_up(case),
    )


def slow_convergence(case: Case) -> Diagnosis | None:
    """Find a loss that falls all the time, but so slowly that the run ends long before it is low."""
    loss, facts = case.loss, case.facts
    if len(loss) < 4 or not _ran_long_enough(case, 2):
        return None
    stretches = loss.buckets(4)
    start, end = stretches.first, stretches.last
    fell = (start.value - end.value) / start.value if start.value > 0 else 0.0
    drops = [before - after for before, after in pairwise(stretches.values)]
    steady = min(drops) > 0 and drops[-1] >= 0.3 * sum(drops) / len(drops)
    if not steady or not FLAT <= fell < SLOW or case.height(end.value, resting=case.resting) < 0.6:
        return None
    return Diagnosis(
        code="slow_convergence",
        severity="warning",
        title="The loss falls very slowly",
        evidence=f"{loss.name} fell by {percent(fell)} {'in the whole run' if facts.finished else 'so far'}, "
        f"from {at(start)} to {at(end)}, and {'was still falling at the end' if facts.finished else 'still falls'}.",
        observations=loss.observe(start, end),
        cause=f"The learning rate{advice.says(facts, 'learning_rate')} is too low for the length of the run, "
        "or too little of the gradient reaches the encoder.",
        changes=[
            *advice.raise_learning_rate(facts, 2.5, "larger steps get further in the same time"),
            *advice.longer(facts, 2, "the loss was still falling when the run ended"),
            *_shorter_warm_up(case),
            *advice.dataset("look for wrong labels", "contradicting rows keep the loss up"),
        ],
    )


def plateau(case: Case) -> Diagnosis | None:
    """Find a metric that never moved, or that stood still for the last part of a run that went on regardless."""
    metric = case.metric
    if len(metric) < FEWEST_EVALUATIONS or not case.facts.finished:
        return None
    spread = _spread(case, metric.values)
    if spread < FLAT_METRIC and not _is_good(case):
        return _never_moved(case)
    after = [point for point in metric.points if point.step > case.best.step]
    saturated = len(after) >= LONG_TAIL and _spread(case, [case.best.value, *(p.value for p in after)]) < FLAT_TAIL
    return _saturated(case) if saturated and case.facts.stop_reason != "early_stopping" else None


def _never_moved(case: Case) -> Diagnosis:
    metric, facts = case.metric, case.facts
    return Diagnosis(
        code="plateau",
        severity="warning",
        title="The validation score never moved",
        evidence=f"{metric.name} was {at(metric.first)} and {at(metric.last)}: no improvement in "
        f"{len(metric)} evaluations.",
        observations=metric.observe(metric.first, metric.last),
        cause="The model gives nearly the same answers as after its first evaluation. Either it does not learn "
        "(learning rate, frozen or unsuitable weights), or the texts do not tell the labels apart.",
        changes=[
            *advice.raise_learning_rate(facts, 5, "a rate this low may never leave the start"),
            *_balance(case),
            *advice.dataset("read some rows of each label", "wrong or shuffled labels look exactly like this"),
            *advice.another_base_model(facts, "a larger model, or one of your language", "it may see what this cannot"),
        ],
    )


def _saturated(case: Case) -> Diagnosis:
    metric, best, facts = case.metric, case.best, case.facts
    return Diagnosis(
        code="plateau",
        severity="info",
        title="The last part of the run gained nothing",
        evidence=f"{metric.name} was best with {at(best)} and stayed within {number(FLAT_TAIL)} of it until step "
        f"{metric.last.step}.",
        observations=metric.observe(best, metric.last),
        cause=f"The model had learned what it could by {when(best)}; the rest was spent time.",
        changes=[
            *advice.stop_early(facts, 3, "ends the run when nothing is gained any more"),
            *advice.epochs(facts, best.epoch + 1, "the same result in less time"),
            *advice.lower_learning_rate(facts, 2, "finer steps sometimes gain a little more"),
        ],
    )


def _ran_long_enough(case: Case, epochs: float) -> bool:
    return case.facts.finished or case.history.last_epoch >= epochs


def _metric_moved(case: Case) -> bool:
    metric = case.metric
    if not len(metric) or metric.name == EVAL_LOSS:
        return False
    return case.best.value - metric.first.value > METRIC_MOVED


def _why_not_learning(case: Case) -> str:
    norms, facts = case.history.curve(GRAD_NORM), case.facts
    if len(norms) and extreme(norms.points, max).value < VANISHED_NORM:
        return "No gradient arrives: its norm is nearly 0, as if the weights were frozen."
    rate = facts.number("learning_rate")
    if rate is not None and rate >= advice.HIGH_LEARNING_RATE:
        return f"A learning rate{advice.says(facts, 'learning_rate')} is so high that the encoder forgot what it knew."
    return (
        f"The learning rate{advice.says(facts, 'learning_rate')} is too low, weights are frozen, "
        "or the labels do not belong to the texts."
    )


def _wake_up(case: Case) -> list[Change]:
    facts, rate = case.facts, case.facts.number("learning_rate")
    forgot = rate is not None and rate >= advice.HIGH_LEARNING_RATE
    return [
        *(
            advice.change(facts, "learning_rate", advice.USUAL_LEARNING_RATE, "what pretrained encoders usually bear")
            if forgot
            else advice.raise_learning_rate(facts, 5, "steps this small may never leave the start")
        ),
        *advice.dataset("read some rows of each label", "shuffled or wrong labels cannot be learned"),
        *advice.another_base_model(facts, "a model pretrained on your language", "it must be able to read the texts"),
    ]


def _shorter_warm_up(case: Case) -> list[Change]:
    total = case.facts.total_steps
    if not total or total < 10:
        return []
    return advice.at_most(case.facts, "warmup_steps", total // 10, "a long warm-up holds the rate down")


def _balance(case: Case) -> list[Change]:
    if case.facts.hyperparameters.get("class_weights") != "none":
        return []
    return advice.change(case.facts, "class_weights", "balanced", "keeps rare labels from being ignored")


def _spread(case: Case, values: list[float]) -> float:
    unit = case.chance if case.smaller_is_better else 1.0
    return (max(values) - min(values)) / unit


def _is_good(case: Case) -> bool:
    best = case.best.value
    if case.smaller_is_better:
        return case.height(best) < STILL_HIGH
    return best >= (GOOD_ACCURACY if case.metric.name == "eval/accuracy" else GOOD_F1)
