"""Describes a dataset before a GPU is touched: counts, lengths, baseline, and what a careful person would look at."""

import numpy as np
import numpy.typing as npt

from app.preflight.label_sets import LabelSets
from app.preflight.rows import SPLITS, Examples
from app.preflight.split import TEST, TRAIN, VALIDATION
from app.schemas.datasets import DatasetProfile, DataWarning, SplitCounts, SplitName, TextLengths

_FEW = 20
_IMBALANCE = 10.0
_LONG_CHARS = 4_000
_MOST_SHOWN = 10

Ints = npt.NDArray[np.int32]
Splits = npt.NDArray[np.int8]


def describe(examples: Examples, labels: list[str], sets: LabelSets, split: Splits) -> DatasetProfile:
    """Make the profile; ``split`` is by row."""
    counts = np.stack([sets.counts(len(labels), split == number) for number in range(len(SPLITS))])  # (split, label)
    totals = np.bincount(split, minlength=len(SPLITS))  # (split,)
    answers = sets.answers()  # (row,)
    repeated = len(examples) - len(np.unique(examples.digest))
    return DatasetProfile(
        labels=labels,
        problem_type="multi_label" if sets.several else "single_label",
        splits=_split_counts(labels, counts, totals),
        text_lengths=_lengths(examples.chars),
        duplicates=repeated,
        majority_baseline=_majority_baseline(answers, split),
        warnings=[
            *_balance_warnings(labels, counts),
            *_coverage_warnings(labels, counts),
            *_repetition_warnings(examples, answers, split, repeated),
            *_length_warnings(examples.chars),
        ],
    )


def _split_counts(
    labels: list[str], counts: npt.NDArray[np.int64], totals: npt.NDArray[np.int64]
) -> dict[SplitName, SplitCounts]:
    names: tuple[SplitName, ...] = ("train", "validation", "test")
    return {
        name: SplitCounts(total=int(total), by_label={label: int(n) for label, n in zip(labels, row, strict=True)})
        for name, row, total in zip(names, counts, totals, strict=True)
    }


def _lengths(chars: npt.NDArray[np.int64]) -> TextLengths:
    p50, p90, p99 = (int(value) for value in np.percentile(chars, [50, 90, 99], method="inverted_cdf"))
    return TextLengths(p50=p50, p90=p90, p99=p99, max=int(chars.max()))


def _majority_baseline(answers: Ints, split: Splits) -> float:
    """Accuracy of the commonest training answer on the validation split, or on the training split if there is none."""
    judged = answers[split == (VALIDATION if (split == VALIDATION).any() else TRAIN)]
    return float((judged == np.bincount(answers[split == TRAIN]).argmax()).mean())


def _balance_warnings(labels: list[str], counts: npt.NDArray[np.int64]) -> list[DataWarning]:
    train = counts[TRAIN]
    warnings = []
    few = [label for label, count in zip(labels, train, strict=True) if count < _FEW]
    if few:
        warnings.append(
            DataWarning(
                code="few-examples",
                detail=f"{len(few)} of {len(labels)} labels have fewer than {_FEW} training rows: {_some(few)}.",
                remedy="Add rows, or expect poor scores for these labels.",
            )
        )
    ratio = float(train.max() / max(1, train.min()))
    if ratio >= _IMBALANCE:
        warnings.append(
            DataWarning(
                code="imbalanced",
                detail=f"{labels[int(train.argmax())]} has {ratio:.0f} times the training rows of "
                f"{labels[int(train.argmin())]}.",
                remedy="Try class_weights balanced, and judge by f1_macro rather than by accuracy.",
            )
        )
    return warnings


def _coverage_warnings(labels: list[str], counts: npt.NDArray[np.int64]) -> list[DataWarning]:
    warnings = []
    for number in (VALIDATION, TEST):
        absent = [label for label, count in zip(labels, counts[number], strict=True) if count == 0]
        if absent and counts[number].any():
            warnings.append(
                DataWarning(
                    code=f"missing-in-{SPLITS[number]}",
                    detail=f"{len(absent)} labels have no row in the {SPLITS[number]} split: {_some(absent)}.",
                    remedy="Their scores will be 0 there; add rows.",
                )
            )
    if not counts[VALIDATION].any():
        warnings.append(
            DataWarning(
                code="no-validation-split",
                detail="The dataset has no validation rows; a training job needs them to choose the best checkpoint.",
                remedy="Upload it again with a validation_fraction above 0.",
            )
        )
    return warnings


def _repetition_warnings(examples: Examples, class_of: Ints, split: Splits, repeated: int) -> list[DataWarning]:
    if not repeated:
        return []
    warnings = [
        DataWarning(code="duplicate-texts", detail=f"{repeated} rows repeat the text of an earlier row.", remedy=None)
    ]
    trained = np.unique(examples.digest[split == TRAIN])
    leaked = int(np.isin(examples.digest[split != TRAIN], trained).sum())
    if leaked:
        warnings.append(
            DataWarning(
                code="leaking-texts",
                detail=f"{leaked} validation or test rows have a text that is also a training row.",
                remedy="Remove them: they make scores look better than they are.",
            )
        )
    pairs = np.unique(np.stack([examples.digest, class_of.astype(np.uint64)]), axis=1)
    conflicting = pairs.shape[1] - len(np.unique(pairs[0]))
    if conflicting:
        warnings.append(
            DataWarning(
                code="conflicting-labels",
                detail=f"{conflicting} texts appear with more than one label.",
                remedy="Decide on one label: no model can learn both.",
            )
        )
    return warnings


def _length_warnings(chars: npt.NDArray[np.int64]) -> list[DataWarning]:
    share = float((chars > _LONG_CHARS).mean())
    if share < 0.01:
        return []
    return [
        DataWarning(
            code="long-texts",
            detail=f"{share:.0%} of the texts are longer than {_LONG_CHARS} characters.",
            remedy="An encoder reads the first 512 tokens or so: train the family hierarchical, which reads all of it, "
            "set long_text to head_tail, or put what matters first.",
        )
    ]


def _some(names: list[str]) -> str:
    return ", ".join(names[:_MOST_SHOWN]) + (", ..." if len(names) > _MOST_SHOWN else "")
