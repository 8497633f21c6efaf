"""The scores of a report: each split with its commonest mistakes."""

from app.schemas.jobs import Job
from app.schemas.metrics import TaskEvaluation
from app.schemas.reports import Confusion, ScoreSection

MOST_CONFUSIONS = 15


def score_sections(job: Job) -> list[ScoreSection]:
    """Give validation, then test, as far as they were judged."""
    judged = [each for each in (job.metrics.validation, job.metrics.test) if each is not None]
    return [
        ScoreSection(
            evaluation=each,
            confusions=confusions(each),
            task_confusions={name: confusions(task) for name, task in each.tasks.items()},
        )
        for each in judged
    ]


def confusions(evaluation: TaskEvaluation) -> list[Confusion]:
    """List which label is taken for which other one, the most frequent mistakes first."""
    names = [scores.label for scores in evaluation.per_class]
    mistakes = [
        Confusion(label=label, predicted=names[column], count=number, share=number / sum(row))
        for label, row in zip(names, evaluation.confusion_matrix, strict=False)
        for column, number in enumerate(row[: len(names)])
        if number > 0 and names[column] != label
    ]
    return sorted(mistakes, key=lambda mistake: -mistake.count)[:MOST_CONFUSIONS]
