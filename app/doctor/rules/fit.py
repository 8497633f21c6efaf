"""Training against validation loss: overfitting, underfitting."""

from app.doctor import advice
from app.doctor.case import EVAL_LOSS, TRAIN_LOSS, Case, Fit
from app.doctor.wording import number, percent
from app.schemas.diagnoses import Diagnosis, Observation

RISE = 0.02
"""The validation loss must have turned, not merely trembled."""
WIDENED = 0.1
"""How much the gap must have grown since, in units of the loss of chance."""
HIGH = 0.7
"""Share of the loss of chance that counts as high."""
SMALL_GAP = 0.15
GOOD_SCORE = 0.8


def overfitting(case: Case) -> Diagnosis | None:
    """Find the place from where only the training loss went on falling.

    After early stopping only what led to the kept checkpoint counts: the rest was waiting, and is thrown away.
    """
    fits = _relevant(case)
    if len(fits) < (2 if case.facts.finished else 3):  # one rise, early on, is often made good
        return None
    turn, last = min(fits, key=lambda fit: fit.validation), fits[-1]
    widened = last.gap - turn.gap
    rose = last.validation - turn.validation
    if rose < RISE * abs(turn.validation) or turn.train <= last.train or widened < WIDENED * case.chance:
        return None
    return Diagnosis(
        code="overfitting",
        severity="warning",
        title="Overfitting: the gap between training and validation loss widens",
        evidence=f"Epoch {number(turn.epoch)}: {_both(turn)}. Epoch {number(last.epoch)}: {_both(last)}. "
        f"Since then the validation loss rose by {percent(rose / abs(turn.validation)) if turn.validation else 'all'} "
        "while the training loss fell.",
        observations=_observations(turn, last),
        cause="The model learns its training rows by heart: too many passes, or too little data for its size.",
        changes=[
            *advice.epochs(case.facts, turn.epoch, "from here on the validation loss only rose"),
            *advice.stop_early(case.facts, 3, "ends the run when the validation score no longer rises"),
            *advice.more_dropout(case.facts, "makes learning by heart harder"),
            *advice.at_least(case.facts, "label_smoothing_factor", 0.1, "keeps the model from being too sure"),
            *advice.at_least(case.facts, "weight_decay", 0.05, "keeps weights small"),
            *advice.dataset("add training rows", "more varied rows are the best cure"),
        ],
    )


def underfitting(case: Case) -> Diagnosis | None:
    """Find a finished run whose training and validation losses are both high and close together."""
    if not case.facts.finished or not case.fits or case.fits[-1].step < case.train_loss.last.step // 2:
        return None
    last, resting = case.fits[-1], case.facts.resting_loss
    high = min(case.height(last.train, resting=resting), case.height(last.validation)) >= HIGH
    close = last.gap <= SMALL_GAP * case.chance
    if not high or not close or _scores_well(case):
        return None
    return Diagnosis(
        code="underfitting",
        severity="warning",
        title="Underfitting: both losses stay high",
        evidence=f"At the end of the run (epoch {number(last.epoch)}): {_both(last)}; a model that knows nothing has "
        f"{number(case.chance)}.",
        observations=_observations(last),
        cause="The model has not taken in even its training rows: the run was too short, too gentle, "
        "or the model too small for the task.",
        changes=[
            *advice.longer(case.facts, 2, "the training loss has room to fall"),
            *advice.raise_learning_rate(case.facts, 2.5, "larger steps get further in the same time"),
            *advice.less_dropout(case.facts, "less to hinder learning"),
            *advice.at_most(case.facts, "weight_decay", 0.01, "less to hinder learning"),
            *advice.another_base_model(case.facts, "a larger model", "more capacity for a hard task"),
        ],
    )


def _relevant(case: Case) -> list[Fit]:
    if case.facts.stop_reason != "early_stopping" or not len(case.metric):
        return case.fits
    return [fit for fit in case.fits if fit.step <= case.best.step]


def _scores_well(case: Case) -> bool:
    return bool(len(case.metric)) and not case.smaller_is_better and case.metric.last.value >= GOOD_SCORE


def _both(fit: Fit) -> str:
    return f"training loss {number(fit.train)}, validation loss {number(fit.validation)}, gap {number(fit.gap)}"


def _observations(*fits: Fit) -> list[Observation]:
    return [
        Observation(name=name, step=fit.step, epoch=fit.epoch, value=value)
        for fit in fits
        for name, value in ((TRAIN_LOSS, fit.train), (EVAL_LOSS, fit.validation))
    ]
