"""The first lines of a report: what it is about and how well it went, in words."""

from app.reports.wording import count, percent, score
from app.schemas.diagnoses import Diagnosis
from app.schemas.families import MultitaskOptions
from app.schemas.jobs import Job
from app.schemas.reports import DataSection


def title(job: Job) -> str:
    """Name the version the job made, or the model it was for."""
    return f"{job.model}:{job.result.version}" if job.result else job.model


def summary(job: Job, data: DataSection, diagnoses: list[Diagnosis]) -> str:
    """Say in a few sentences what was trained, how well it does and what to look at."""
    sentences = [_subject(job, data), _outcome(job, data), _findings(diagnoses)]
    return " ".join(sentence for sentence in sentences if sentence)


def _subject(job: Job, data: DataSection) -> str:
    rows = job.dataset.counts.get("train")
    on = f" on {count(rows)} rows" if rows else ""
    labels = f" with {len(data.labels)} labels" if data.labels else ""
    if job.family == "textcnn" and job.base_model.source != "version":
        borrowed = "" if job.base_model.source == "none" else f" with the tokenizer of {job.base_model.id}"
        return f"A {job.family}{borrowed}, trained from scratch{on}{labels}."
    family = job.family_options
    others = f", together with {', '.join(family.tasks)}" if isinstance(family, MultitaskOptions) else ""
    return f"{job.base_model.id}, fine-tuned{on}{labels}{others}."


def _outcome(job: Job, data: DataSection) -> str:
    if job.status == "failed":
        return f"The job failed: {(job.error or {}).get('detail') or job.status_reason or 'no reason was recorded.'}"
    judged = job.metrics.test or job.metrics.validation
    if judged is None:
        return {"queued": "The job has not started.", "cancelled": "The job was cancelled."}.get(job.status, "")
    so_far = "" if job.status == "succeeded" else " so far"
    base = data.majority_baseline
    if judged.hamming_loss is not None:
        versus = f"; always answering the commonest set of labels: {percent(base)}" if base is not None else ""
        return (
            f"On the {judged.split} split{so_far}, macro F1 is {score(judged.f1_macro)}, micro F1 "
            f"{score(judged.f1_micro)}, and all labels are right for {percent(judged.accuracy)} of the rows{versus}."
        )
    versus = f"; always answering the commonest label reaches {percent(base)}" if base is not None else ""
    return (
        f"On the {judged.split} split{so_far}, macro F1 is {score(judged.f1_macro)} and accuracy "
        f"{percent(judged.accuracy)}{versus}."
    )


def _findings(diagnoses: list[Diagnosis]) -> str:
    pressing = [diagnosis for diagnosis in diagnoses if diagnosis.severity != "info"]
    if not pressing:
        return ""
    more = f" and {len(pressing) - 1} more" if len(pressing) > 1 else ""
    return f"To look at: {pressing[0].title}{more}."
