"""The data of a report: how many rows, which labels, and what anyone would reach without learning."""

from app.artifacts.bundle import Manifest
from app.doctor.facts import has_label_sets
from app.schemas.datasets import DatasetProfile, SplitName
from app.schemas.jobs import Job
from app.schemas.metrics import Evaluation
from app.schemas.reports import DataSection, LabelShare


def data_section(job: Job, profile: DatasetProfile | None, manifest: Manifest | None) -> DataSection:
    """Describe the data of ``job``; without its profile, the scores and the manifest still tell the labels."""
    counts = _counts(job, profile)
    labels = profile.labels if profile else manifest.labels if manifest else list(counts)
    train = {label: counts.get(label, {}).get("train", 0) for label in labels}
    several = has_label_sets(job.metrics.validation, profile)
    rows = job.dataset.counts.get("train", 0) if several else sum(train.values())
    rarest = min(train.values(), default=0)
    return DataSection(
        dataset=job.dataset,
        labels=[
            LabelShare(label=label, counts=counts.get(label, {}), share=train[label] / rows if rows else None)
            for label in labels
        ],
        random_baseline=1 / len(labels) if labels and not several else None,
        majority_baseline=profile.majority_baseline if profile else _majority(job.metrics.validation),
        imbalance=max(train.values()) / rarest if rarest else None,
        median_length=profile.text_lengths.p50 if profile else None,
        duplicates=profile.duplicates if profile else None,
        warnings=profile.warnings if profile else [],
    )


def _counts(job: Job, profile: DatasetProfile | None) -> dict[str, dict[SplitName, int]]:
    """Count rows by label and split: from the profile, else what the evaluations saw."""
    counts: dict[str, dict[SplitName, int]] = {}
    if profile:
        for split, rows in profile.splits.items():
            for label, number in rows.by_label.items():
                counts.setdefault(label, {})[split] = number
        return counts
    judged: dict[SplitName, Evaluation | None] = {"validation": job.metrics.validation, "test": job.metrics.test}
    for split, evaluation in judged.items():
        for scores in evaluation.per_class if evaluation else []:
            counts.setdefault(scores.label, {})[split] = scores.support
    return counts


def _majority(validation: Evaluation | None) -> float | None:
    if validation is None or not validation.examples or validation.hamming_loss is not None:
        return None
    return max((scores.support for scores in validation.per_class), default=0) / validation.examples
