"""Models that answer with the commonest label."""

from collections.abc import Callable

from app.schemas.diagnoses import Diagnosis
from app.schemas.metrics import ClassScores, Evaluation

Examine = Callable[..., dict[str, Diagnosis]]
UNEVEN = {"general": 3000, "teen": 1350, "mature": 550}


def changes(diagnosis: Diagnosis) -> dict[str, object]:
    return {change.field: change.to for change in diagnosis.changes}


def evaluation(matrix: list[list[int]], labels: list[str], *, accuracy: float, f1_macro: float) -> Evaluation:
    return Evaluation(
        split="validation",
        examples=sum(map(sum, matrix)),
        loss=0.8,
        accuracy=accuracy,
        f1_macro=f1_macro,
        f1_weighted=accuracy,
        precision_macro=f1_macro,
        precision_weighted=accuracy,
        recall_macro=f1_macro,
        recall_weighted=accuracy,
        per_class=[
            ClassScores(label=label, precision=0.5, recall=0.5, f1=0.5, support=sum(row))
            for label, row in zip(labels, matrix, strict=True)
        ],
        confusion_matrix=matrix,
    )


def test_accuracy_at_the_baseline_with_a_low_f1(examine: Examine) -> None:
    curves = {"eval/accuracy": [0.60, 0.61], "eval/f1_macro": [0.25, 0.27]}
    found = examine(
        curves,
        label_counts=UNEVEN,
        majority_baseline=0.61,
        hyperparameters={"metric_for_best_model": "accuracy"},
    )

    diagnosis = found["imbalanced"]
    assert "accuracy is 61 %" in diagnosis.evidence
    assert "macro F1 is 0.27" in diagnosis.evidence
    assert "“mature” 11 %" in diagnosis.cause
    assert changes(diagnosis)["class_weights"] == "balanced"
    assert changes(diagnosis)["metric_for_best_model"] == "f1_macro"


def test_a_label_that_is_never_predicted_is_named(examine: Examine) -> None:
    judged = evaluation([[60, 0, 0], [10, 17, 0], [11, 2, 0]], list(UNEVEN), accuracy=0.77, f1_macro=0.5)
    found = examine({"eval/f1_macro": [0.4, 0.5]}, label_counts=UNEVEN, validation=judged)

    assert "Never predicted: “mature”." in found["imbalanced"].evidence
    assert "mature" in str(changes(found["imbalanced"])["dataset"])


def test_weights_that_are_balanced_already_are_not_proposed_again(examine: Examine) -> None:
    judged = evaluation([[60, 0, 0], [10, 17, 0], [11, 2, 0]], list(UNEVEN), accuracy=0.77, f1_macro=0.5)
    weights = {"general": 0.54, "teen": 1.21, "mature": 2.97}
    found = examine({}, label_counts=UNEVEN, validation=judged, hyperparameters={"class_weights": weights})
    assert list(changes(found["imbalanced"])) == ["dataset"]


def test_a_missed_label_among_even_ones_is_no_matter_of_balance(examine: Examine) -> None:
    judged = evaluation([[20, 0, 0], [9, 11, 0], [15, 5, 0]], ["a", "b", "c"], accuracy=0.5, f1_macro=0.4)
    found = examine({}, validation=judged)
    assert "look to the model like" in found["imbalanced"].cause
    assert list(changes(found["imbalanced"])) == ["dataset"]


def test_a_model_that_finds_every_label_is_not_imbalanced(examine: Examine) -> None:
    judged = evaluation([[55, 4, 1], [6, 20, 1], [2, 2, 9]], list(UNEVEN), accuracy=0.84, f1_macro=0.79)
    assert examine({"eval/f1_macro": [0.7, 0.79]}, label_counts=UNEVEN, validation=judged).get("imbalanced") is None


def test_even_labels_with_a_poor_accuracy_are_not_imbalanced(examine: Examine) -> None:
    assert "imbalanced" not in examine({"eval/accuracy": [0.3, 0.34], "eval/f1_macro": [0.15, 0.17]})


def test_the_first_evaluation_of_a_running_job_is_not_judged(examine: Examine) -> None:
    curves = {"eval/accuracy": [0.61], "eval/f1_macro": [0.25]}
    assert examine(curves, label_counts=UNEVEN, finished=False) == {}
    assert "imbalanced" in examine(curves, label_counts=UNEVEN)


def test_a_label_with_next_to_no_rows_may_be_missed(examine: Examine) -> None:
    judged = evaluation([[60, 0], [2, 0]], ["ham", "spam"], accuracy=0.97, f1_macro=0.9)
    assert examine({}, label_counts={"ham": 600, "spam": 20}, validation=judged) == {}
