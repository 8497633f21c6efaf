"""Weighing a trained model: how sure its scores are, and whether it beats what simple models make of the same rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.logging import get_logger
from app.schemas.datasets import SplitName
from app.schemas.histograms import Reference
from app.schemas.judgements import AnswersRef, Baseline, BaselineName, Intervals, SliceScores
from app.serving.decision import each_probability, probabilities
from app.significance import answers as files
from app.significance.answers import Answers, row_keys
from app.significance.judging import compare, f1_macro, intervals_of
from app.text.clean import clean
from app.text.tokenizer import TextEncoder
from worker.data.rows import Rows, indices, read_rows
from worker.evaluation.baselines import Given, Targets, TooMany, by_words, majority
from worker.events import AttemptSpec, Interrupted
from worker.judging import Answered, Judge
from worker.reference import reference_of
from worker.slicing import slices_of

log = get_logger(__name__)

MOST_JUDGED = 20_000
"""Rows that baselines answer: the first ones."""
WORDS: BaselineName = "tfidf-logistic-regression"


@dataclass(frozen=True, slots=True, eq=False)
class Certainty:
    """What a bundle says about how far its scores can be trusted."""

    answers: Answers | None = None
    intervals: Intervals | None = None
    baselines: list[Baseline] = field(default_factory=list)
    reference: Reference | None = None
    slices: list[SliceScores] = field(default_factory=list)

    def save(self, folder: Path) -> AnswersRef | None:
        """Write the answers into a bundle; None where nothing was held out to be answered."""
        if self.answers is None:
            return None
        files.save(self.answers, folder / files.FILE)
        return AnswersRef(file=files.FILE, split=self.answers.split, rows=len(self.answers))


def weigh(
    spec: AttemptSpec, judge: Judge, encoder: TextEncoder, tested: Answered | None, validated: Answered | None
) -> Certainty:
    """Weigh the model by its answers to the test rows; without any, to the validation rows, which it was chosen by.

    Of several tasks, the main one.
    """
    split: SplitName = "test"
    if tested is None:
        if validated is None:
            return Certainty()
        split, tested = "validation", validated
    rows = read_rows(spec.dataset_file, spec.labels, spec.problem_type)
    answers = _answers(spec, judge, split, tested, rows[split])
    judge.check()
    baselines = _baselines(spec, answers, rows, judge.check) if spec.request.baselines else []
    judge.check()
    reference = reference_of(judge, encoder, split, tested.logits, rows[split].texts)
    slices = slices_of(answers, rows[split], judge.check)
    return Certainty(answers, intervals_of(answers), baselines, reference, slices)


def _answers(spec: AttemptSpec, judge: Judge, split: SplitName, tested: Answered, rows: Rows) -> Answers:
    several = spec.problem_type == "multi_label"
    count = len(tested.logits)
    given = judge.decide(tested.logits)
    truth: Targets = tested.truth.astype(np.bool_) if several else tested.truth.astype(np.int64)
    return Answers(
        split=split,
        labels=list(spec.labels),
        several=several,
        keys=row_keys(rows.texts[:count], _names(rows, spec.labels, count)),
        truth=truth,
        given=given,
        probabilities=_probabilities(tested.logits, given, judge.temperature, several=several),
    )


def _names(rows: Rows, labels: Sequence[str], count: int) -> list[list[str]]:
    return [[labels[index] for index in indices([target])] for target in rows.labels[:count]]


def _probabilities(
    logits: NDArray[np.float32], given: Targets, temperature: float, *, several: bool
) -> NDArray[np.float16]:
    """Turn logits into probabilities; of very many, keep only that of the label that was given, or the highest."""
    scores = (each_probability if several else probabilities)(logits, temperature)
    if scores.size > files.MOST_PROBABILITIES:
        scores = scores.max(axis=1, keepdims=True) if several else scores[np.arange(len(given)), given][:, None]
    return scores.astype(np.float16)


def _baselines(
    spec: AttemptSpec, answers: Answers, rows: dict[SplitName, Rows], check: Callable[[], None]
) -> list[Baseline]:
    """Train both on the training rows and compare them with the model on the first rows that were judged."""
    judged = _first(answers, MOST_JUDGED)
    train, held_out = rows["train"], rows[judged.split].texts[: len(judged)]
    truth = _targets(train, len(spec.labels), several=judged.several)

    def words() -> Given:
        seed = spec.request.hyperparameters.seed
        return by_words(train.texts, truth, held_out, lambda text: clean(text, spec.request.text), check, seed=seed)

    note = f"judged on the first {len(judged)} of {len(answers)} rows" if len(judged) < len(answers) else None
    return [
        _compared("majority", lambda: majority(truth, len(judged)), judged, note),
        _compared(WORDS, words, judged, note),
    ]


def _first(answers: Answers, most: int) -> Answers:
    return replace(
        answers,
        keys=answers.keys[:most],
        truth=answers.truth[:most],
        given=answers.given[:most],
        probabilities=answers.probabilities[:most],
    )


def _targets(rows: Rows, labels: int, *, several: bool) -> Targets:
    if not several:
        return np.array(rows.labels, dtype=np.int64)
    marks = np.zeros((len(rows.labels), labels), dtype=np.bool_)
    for row, target in enumerate(rows.labels):
        marks[row, list(indices([target]))] = True
    return marks


def _compared(name: BaselineName, answer: Callable[[], Given], judged: Answers, note: str | None) -> Baseline:
    """Judge a baseline; a job is as good without one, so whatever goes wrong is only noted."""
    try:
        given = answer()
    except (Interrupted, OSError, MemoryError):
        raise
    except Exception as error:  # a library may refuse data in any way, or not be there
        log.warning("baseline_left_out", baseline=name, error=type(error).__name__, exc_info=True)
        return Baseline(name=name, split=judged.split, note=f"left out: {_why(error)}")
    other = replace(judged, given=given.answers)
    return Baseline(
        name=name,
        split=judged.split,
        trained_on=given.trained_on,
        accuracy=float(other.right.mean()),
        f1_macro=f1_macro(other),
        seconds=round(given.seconds, 3),
        comparison=compare(judged, other),
        note="; ".join(part for part in (given.note, note) if part) or None,
    )


def _why(error: Exception) -> str:
    if isinstance(error, ImportError):
        return "scikit-learn is not installed on the worker"
    return "its library refused the rows" if not isinstance(error, TooMany) else str(error)
