"""When training ended against when it was best: early_stop_too_early, metric_at_first_epoch."""

from app.doctor import advice
from app.doctor.case import Case
from app.doctor.wording import at, number, when
from app.schemas.diagnoses import Change, Diagnosis

REAL_GAIN = 0.01
"""A last gain smaller than a point promises little of a longer run."""
CLEAR_LOSS = 0.02
FEWEST_EVALUATIONS = 3


def early_stop_too_early(case: Case) -> Diagnosis | None:
    """Find a run whose very last evaluation was its best, by a real gain."""
    metric = case.metric
    if not case.facts.finished or case.facts.error_code or len(metric) < 2 or case.best.step != metric.last.step:
        return None
    before = [point for point in metric.points if point.step < case.best.step]
    previous = (min if case.smaller_is_better else max)(point.value for point in before)
    gain = case.gain(previous, case.best.value)
    if gain < REAL_GAIN:
        return None
    return Diagnosis(
        code="early_stop_too_early",
        severity="info",
        title="Training ended while the model was still improving",
        evidence=f"The last evaluation was the best: {metric.name} {at(case.best)}, "
        f"better by {number(abs(case.best.value - previous))} than any before.",
        observations=metric.observe(metric.points[-2], metric.last),
        cause=_what_ended_it(case),
        changes=_go_on(case),
    )


def metric_at_first_epoch(case: Case) -> Diagnosis | None:
    """Find a run that was never better than at its first evaluation."""
    metric = case.metric
    if not case.facts.finished or len(metric) < FEWEST_EVALUATIONS or case.best.step != metric.first.step:
        return None
    lost = case.gain(metric.last.value, metric.first.value)
    return Diagnosis(
        code="metric_at_first_epoch",
        severity="warning" if lost >= CLEAR_LOSS else "info",
        title="The first evaluation was the best",
        evidence=f"{metric.name} was best with {at(metric.first)}; none of the {len(metric) - 1} evaluations after it "
        f"was better, and the last one was {at(metric.last)}.",
        observations=metric.observe(metric.first, metric.last),
        cause=f"With a learning rate{advice.says(case.facts, 'learning_rate')} the model takes in all it can at once "
        "and then only drifts; its best moment may even lie before the first evaluation.",
        changes=[
            *advice.lower_learning_rate(case.facts, 2, "smaller steps leave room to improve"),
            *_look_more_often(case),
            *advice.warm_up(case.facts, 0.1, "a slow start keeps what the encoder knows"),
            *advice.more_dropout(case.facts, "makes learning by heart harder"),
        ],
    )


def _what_ended_it(case: Case) -> str:
    reason = case.facts.stop_reason
    if reason == "early_stopping":
        return "Early stopping ended the run although the score was rising: gains below its threshold do not count."
    if reason == "stopped":
        return f"A client ended the run at step {case.metric.last.step}, before the score had settled."
    if reason in ("max_steps", "max_train_seconds", "max_gpu_seconds"):
        return f"{reason} ended the run at step {case.metric.last.step}, before the score had settled."
    return f"The planned epochs were over at {when(case.metric.last)}, before the score had settled."


def _go_on(case: Case) -> list[Change]:
    if case.facts.stop_reason != "early_stopping":
        return advice.longer(case.facts, 1.5, "the score was still rising when the run ended")
    return [
        *advice.at_most(case.facts, "early_stopping_threshold", 0.0, "lets every gain count"),
        *advice.more_patience(case.facts, 5, "waits longer before giving up"),
    ]


def _look_more_often(case: Case) -> list[Change]:
    """Evaluate four times as often; by epochs that takes two fields."""
    interval, facts = case.metric.first.step, case.facts
    if interval < 8 or interval > 10_000_000:
        return []
    why = "finds a best moment before the first evaluation"
    strategy = facts.hyperparameters.get("eval_strategy")
    if strategy == "epoch":
        return [
            *advice.change(facts, "eval_strategy", "steps", why),
            *advice.change(facts, "eval_steps", interval // 4, why),
        ]
    return advice.at_most(facts, "eval_steps", interval // 4, why) if strategy == "steps" else []
