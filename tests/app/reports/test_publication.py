"""The block for publications, line by line."""

from collections.abc import Callable
from typing import Any

import pytest

from app.reports.publication import publication
from app.schemas.jobs import Job, JobMetrics, Usage

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
