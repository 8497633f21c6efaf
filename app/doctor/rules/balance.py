"""Models that answer with the commonest label: imbalanced."""

from app.doctor import advice
from app.doctor.case import Case
from app.doctor.facts import Facts
from app.doctor.wording import number, percent
from app.schemas.diagnoses import Change, Diagnosis, Observation
from app.schemas.metrics import Evaluation

NEAR_BASELINE = 0.03
"""Points of accuracy above the majority baseline that are no achievement."""
LOW_F1 = 0.15
"""How far macro F1 lies below accuracy when whole classes are missed."""
UNEVEN = 1.5
"""The commonest label must be this much commoner than the rarest for the balance of labels to be the matter."""
FEWEST_ROWS = 3
"""A label with fewer validation rows may be missed by chance."""
MOST_NAMED = 5


def imbalanced(case: Case) -> Diagnosis | None:
    """Find labels that are never predicted, or an accuracy that always answering the commonest label would reach."""
    if not case.facts.finished and len(case.metric) < 2:
        return None  # at its first evaluation many a model still answers with one label
    never = never_predicted(case.facts.validation) if case.facts.validation else []
    scores, uneven = _scores(case), _uneven(case.facts)
    near = uneven and scores is not None and _near_baseline(case.facts, *scores)
    if not never and not near:
        return None
    return Diagnosis(
        code="imbalanced",
        severity="warning",
        title="Some labels are never predicted" if never else "Hardly better than always answering the commonest label",
        evidence=_evidence(case.facts, never, scores),
        observations=_observations(case, scores),
        cause=_cause(case.facts, uneven),
        changes=_changes(case.facts, never, uneven),
    )


def never_predicted(evaluation: Evaluation) -> list[str]:
    """Name the labels that occur in the split, but in no answer."""
    width = len(evaluation.per_class)
    if [len(row) for row in evaluation.confusion_matrix] != [width] * width:
        return [each.label for each in evaluation.per_class if each.support >= FEWEST_ROWS and each.recall == 0]
    answers = [sum(column) for column in zip(*evaluation.confusion_matrix, strict=True)]
    return [
        scores.label
        for scores, count in zip(evaluation.per_class, answers, strict=True)
        if scores.support >= FEWEST_ROWS and count == 0
    ]


def _uneven(facts: Facts) -> bool:
    counts = facts.counts.values()
    if len(counts) < 2:
        return facts.baseline is not None and facts.baseline > 0.5
    return max(counts) >= UNEVEN * max(min(counts), 1)


def _scores(case: Case) -> tuple[float, float] | None:
    """Give accuracy and macro F1 of the kept checkpoint, or of the newest evaluation."""
    if case.facts.validation:
        return case.facts.validation.accuracy, case.facts.validation.f1_macro
    accuracy, f1 = case.history.curve("eval/accuracy"), case.history.curve("eval/f1_macro")
    return (accuracy.last.value, f1.last.value) if len(accuracy) and len(f1) else None


def _near_baseline(facts: Facts, accuracy: float, f1_macro: float) -> bool:
    baseline = facts.baseline
    return baseline is not None and accuracy <= baseline + NEAR_BASELINE and f1_macro < accuracy - LOW_F1


def _evidence(facts: Facts, never: list[str], scores: tuple[float, float] | None) -> str:
    parts = []
    if scores is not None and facts.baseline is not None:
        parts.append(
            f"Validation accuracy is {percent(scores[0])}, always answering the commonest label reaches "
            f"{percent(facts.baseline)}; macro F1 is {number(scores[1])}."
        )
    if never:
        named = ", ".join(f"“{label}”" for label in never[:MOST_NAMED])
        more = f" and {len(never) - MOST_NAMED} more" if len(never) > MOST_NAMED else ""
        parts.append(f"Never predicted: {named}{more}.")
    return " ".join(parts)


def _cause(facts: Facts, uneven: bool) -> str:
    if not uneven:
        return "Their rows look to the model like those of another label, or their labels are wrong."
    return (
        f"The labels are uneven ({_counts(facts)}): answering with the common ones is the cheapest way to a low loss."
    )


def _counts(facts: Facts) -> str:
    ordered = sorted(facts.counts.items(), key=lambda item: -item[1])
    total = sum(facts.counts.values())
    shown = ordered if len(ordered) <= MOST_NAMED else [*ordered[: MOST_NAMED - 1], ordered[-1]]
    gap = "" if len(shown) == len(ordered) else "… "
    named = [f"“{label}” {percent(count / total)}" for label, count in shown] if total else ["shares unknown"]
    return ", ".join([*named[:-1], gap + named[-1]])


def _observations(case: Case, scores: tuple[float, float] | None) -> list[Observation]:
    if scores is None:
        return []
    step, epoch = (case.best.step, case.best.epoch) if len(case.metric) else (0, 0.0)
    names = ("eval/accuracy", "eval/f1_macro")
    return [
        Observation(name=name, step=step, epoch=epoch, value=value) for name, value in zip(names, scores, strict=True)
    ]


def _changes(facts: Facts, never: list[str], uneven: bool) -> list[Change]:
    changes = []
    if uneven and facts.hyperparameters.get("class_weights") == "none":
        changes += advice.change(
            facts, "class_weights", "balanced", "makes missing a rare label as costly as a common one"
        )
    if facts.metric_name in ("accuracy", "f1_weighted", "loss") and "metric_for_best_model" in facts.hyperparameters:
        changes += advice.change(
            facts, "metric_for_best_model", "f1_macro", "picks the checkpoint that serves every label"
        )
    words = f"add rows labelled {', '.join(never[:MOST_NAMED])}" if never else "add rows of the rare labels"
    return changes + advice.dataset(words, "the model needs more examples of them")
