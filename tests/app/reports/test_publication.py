"""The block for publications, line by line."""

from collections.abc import Callable
from typing import Any

import pytest

from app.reports.publication import publication
from app.schemas.augmentation import AugmentationOptions
from app.schemas.curriculum import CurriculumOptions
from app.schemas.distillation import DistillationOptions
from app.schemas.families import TextCNNOptions
from app.schemas.jobs import BaseModelRef, Job, JobMetrics
from app.schemas.metrics import Evaluation
from app.schemas.text import TextOptions
from app.schemas.usage import Usage

Make = Callable[..., Job]


def lines(job: Job, *, epochs_run: float | None = 10.0, total_steps: int | None = 3680) -> dict[str, str]:
    return {line.name: line.text for line in publication(job, epochs_run=epochs_run, total_steps=total_steps).lines}


def test_every_line_of_a_methods_section_is_there(make_job: Make) -> None:
    assert lines(make_job()) == {
        "Base model": "roberta-base (hub, revision e2da8e2), family encoder",
        "Data": "3,920 train, 490 validation, 490 test rows, sha256 5f5f5f5f5f5f",
        "Optimizer": "AdamW (lr=2e-5, weight_decay=0.01, betas=(0.9, 0.999), eps=1e-8); "
        "classification head at 2 times the rate",
        "Batch size": "4 physical, 16 effective (gradient accumulation over 4)",
        "Epochs": "15 with early stopping (patience=5); 10 run",
        "Learning rate schedule": "linear warm-up over 368 steps (10 %), then cosine decay to 0",
        "Precision": "FP16 mixed precision (automatic casting with loss scaling, FP32 weights)",
        "Class weights": "[general: 0.544, teen: 1.21, mature: 2.97]",
        "Gradient clipping": "max_norm=1",
        "Regularization": "dropout of the head 0.1, label smoothing 0",
        "Loss": "cross-entropy",
        "Checkpoint selection": "best f1_macro on the validation split, judged after each epoch",
        "Input": "at most 256 tokens; cleaning: NFC, collapse whitespace",
        "Seed": "42",
        "Hardware": "NVIDIA RTX 3080 (peak memory 7.2 GiB)",
        "Training time": "2 h 30 min (10 epochs)",
        "Best checkpoint": "epoch 6, step 1,470 (f1_macro=0.741)",
        "Scores": "validation: accuracy=0.792, f1_macro=0.741 (n=490); test: accuracy=0.765, f1_macro=0.705 (n=490)",
    }


def test_the_numbers_are_there_as_numbers(make_job: Make) -> None:
    block = publication(make_job(), epochs_run=10.0, total_steps=None)
    assert (block.batch_size, block.effective_batch_size, block.epochs_planned) == (4, 16, 15)
    assert (block.epochs_run, block.train_seconds) == (10.0, 9000)


@pytest.mark.parametrize(
    ("changed", "name", "text"),
    [
        ({"max_grad_norm": None}, "Gradient clipping", "none"),
        ({"class_weights": "none"}, "Class weights", "none"),
        ({"precision": "fp32"}, "Precision", "FP32, no mixed precision"),
        ({"gradient_accumulation_steps": 1}, "Batch size", "4 physical, 4 effective"),
        ({"early_stopping_patience": None}, "Epochs", "15 without early stopping; 10 run"),
        ({"max_steps": 2000}, "Epochs", "15 or 2,000 steps with early stopping (patience=5); 10 run"),
        ({"warmup_steps": 0}, "Learning rate schedule", "no warm-up, then cosine decay to 0"),
        ({"deterministic": True}, "Seed", "42, deterministic kernels"),
        ({"early_stopping_threshold": 0.01}, "Epochs", "15 with early stopping (patience=5, threshold=0.01); 10 run"),
    ],
)
def test_what_was_different_is_stated(
    make_job: Make, hyperparameters: dict[str, Any], changed: dict[str, Any], name: str, text: str
) -> None:
    assert lines(make_job(hyperparameters=hyperparameters | changed))[name] == text


def test_what_is_not_known_yet_is_left_out(make_job: Make) -> None:
    wishes = {"learning_rate": "auto", "batch_size": "auto", "warmup_ratio": 0.1, "lr_scheduler_type": "linear"}
    job = make_job(hyperparameters=wishes, worker=None, usage=Usage(), metrics=JobMetrics())
    said = lines(job, epochs_run=None, total_steps=None)

    assert said["Optimizer"] == "AdamW (lr=auto)"
    assert said["Batch size"] == "auto"
    assert said["Learning rate schedule"] == "linear warm-up over 10 % of the steps, then linear decay to 0"
    assert not {"Hardware", "Training time", "Best checkpoint", "Scores", "Epochs", "Seed"} & said.keys()


def test_adafactor_is_named_without_what_it_has_not(make_job: Make) -> None:
    wishes = {"optim": "adafactor", "learning_rate": 2e-5, "adam_beta1": 0.9, "adam_epsilon": 1e-8}
    assert lines(make_job(hyperparameters=wishes))["Optimizer"] == "Adafactor (lr=2e-5)"


@pytest.mark.parametrize(
    ("changed", "name", "words"),
    [
        ({"loss": "focal", "focal_gamma": 1.5}, "Loss", ["focal loss", "gamma=1.5"]),
        ({"freeze_base": True}, "Layers that learn", ["head alone", "frozen"]),
        (
            {"unfreeze_schedule": {"4": "all", "2": 2}},
            "Layers that learn",
            ["from epoch 0 the head alone, from epoch 2 the head and the top 2 layers, from epoch 4 all layers"],
        ),
        ({"layerwise_lr_decay": 0.9}, "Layer-wise rates", ["0.9 times the rate of the one above"]),
        (
            {"curriculum": CurriculumOptions(difficulty="probe_loss", num_epochs=4).model_dump()},
            "Curriculum",
            ["naive Bayes", "30.0 % of each label's rows", "100.0 % over 4 epochs"],
        ),
        (
            {"augmentation": AugmentationOptions(techniques=["random_swap", "random_deletion"]).model_dump()},
            "Augmentation",
            ["1 altered copy of each training row", "random swap, random deletion", "10.0 % of the words"],
        ),
        (
            {"distillation": DistillationOptions(teacher="model:large", revision="3").model_dump()},
            "Distillation",
            ["teacher model:large, revision 3", "0.7 of the loss", "temperature 4", "0.3 the labels"],
        ),
        (
            {"metric_for_best_model": {"f1:teen": 0.6, "accuracy": 0.4}, "eval_strategy": "steps", "eval_steps": 50},
            "Checkpoint selection",
            ["0.6*f1:teen + 0.4*accuracy", "every 50 steps"],
        ),
    ],
)
def test_a_way_of_training_is_stated_so_that_it_can_be_repeated(
    make_job: Make, hyperparameters: dict[str, Any], changed: dict[str, Any], name: str, words: list[str]
) -> None:
    plain = lines(make_job())
    told = lines(make_job(hyperparameters=hyperparameters | changed))
    assert [part for part in words if part not in told[name]] == []
    assert plain.get(name) != told[name]
    assert {line for line in told if told[line] != plain.get(line)} == {name}


def test_a_network_from_scratch_is_described_by_its_sizes(make_job: Make) -> None:
    family = TextCNNOptions(filter_sizes=[2, 3], num_filters=64)
    said = lines(make_job(family="textcnn", family_options=family, base_model=BaseModelRef(id="none", source="none")))
    assert said["Base model"] == "none, trained from scratch, family textcnn"
    assert "num_filters: 64, filter_sizes: [2, 3]" in said["Architecture"]


def test_a_network_from_scratch_owes_a_base_model_its_tokenizer_alone(make_job: Make) -> None:
    said = lines(make_job(family="textcnn", family_options=TextCNNOptions(tokenizer="base_model")))
    assert said["Base model"] == (
        "tokenizer of roberta-base (hub, revision e2da8e2), trained from scratch, family textcnn"
    )
    version = BaseModelRef(id="model:quick", source="version", revision="2")
    goes_on = lines(make_job(family="textcnn", family_options=TextCNNOptions(), base_model=version))
    assert goes_on["Base model"] == "model:quick (version, revision 2), family textcnn"
    assert "Architecture" not in goes_on  # that of the version, whatever was asked for


@pytest.mark.parametrize(("urls", "told"), [("remove", "URLs removed"), ("replace", "URLs replaced by http")])
def test_what_becomes_of_urls_is_stated(make_job: Make, urls: str, told: str) -> None:
    said = lines(make_job(text=TextOptions.model_validate({"urls": urls})))["Input"]
    assert said.endswith(f"cleaning: NFC, collapse whitespace, {told}")


def test_label_sets_are_stated_with_their_loss_thresholds_and_scores(
    make_job: Make, hyperparameters: dict[str, Any], make_sets: Callable[[str], Evaluation]
) -> None:
    metrics = JobMetrics(validation=make_sets("validation"))
    said = lines(make_job(hyperparameters=hyperparameters | {"thresholds": "tuned"}, metrics=metrics))
    assert said["Loss"].startswith("binary cross-entropy")
    assert "highest F1 on the validation split" in said["Decision thresholds"]
    curriculum = {"curriculum": CurriculumOptions().model_dump()}
    assert (
        "% of all rows in the first epoch" in lines(make_job(hyperparameters=curriculum, metrics=metrics))["Curriculum"]
    )
    assert said["Scores"] == (
        "validation: f1_macro=0.500, f1_micro=0.750, all labels right=0.400, hamming_loss=0.250 (n=490)"
    )
