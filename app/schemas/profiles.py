"""Profiles: one word for a set of defaults that people have trained classifiers with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.schemas.families import FamilyOptions, HierarchicalOptions

ProfileName = Literal["rt-sentiment", "twitter-bert", "hierarchical-roberta", "nepali-mbert", "research"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Defaults that a job takes where its request says nothing."""

    summary: str
    base_model: str
    hyperparameters: Mapping[str, Any]
    """As in the request."""
    family: FamilyOptions | None = None
    """As in the request; None: that of every job."""
    text: Mapping[str, Any] = field(default_factory=dict)
    """As in the request."""
    notes: tuple[str, ...] = ()
    """Where it departs from the recipe that it is named after, and why."""


PROFILES: Mapping[ProfileName, Profile] = {
    "rt-sentiment": Profile(
        summary="Sentiment of short texts with a small, quick encoder, for answers in real time.",
        base_model="distilbert-base-uncased",
        hyperparameters={
            "num_train_epochs": 3,
            "batch_size": 16,
            "learning_rate": 2e-5,
            "head_learning_rate_multiplier": 1.0,
            "weight_decay": 0.01,
            "warmup_steps": 500,
            "max_length": 512,
            "precision": "auto",
            "logging_steps": 100,
            "eval_strategy": "steps",
            "eval_steps": 500,
            "save_strategy": "steps",
            "save_steps": 500,
            "metric_for_best_model": "f1_weighted",
            "early_stopping_patience": 3,
        },
        text={"urls": "remove"},
        notes=(
            "`precision` is `auto` where the recipe has fp16: a GPU without fast bf16 gets fp16, one with it bf16, "
            "which does not overflow, and a CPU what it is fast at.",
        ),
    ),
    "twitter-bert": Profile(
        summary="Tweets with BERT: four whole epochs, the one with the best accuracy is kept.",
        base_model="bert-base-uncased",
        hyperparameters={
            "num_train_epochs": 4,
            "batch_size": 16,
            "learning_rate": 2e-5,
            "head_learning_rate_multiplier": 1.0,
            "weight_decay": 0.01,
            "warmup_ratio": 0.1,
            "dropout": 0.1,
            "max_grad_norm": 1.0,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
            "metric_for_best_model": "accuracy",
            "early_stopping_patience": None,
        },
        notes=(
            "The recipe keeps the checkpoint of every epoch. Here the best and the newest two are kept while the job "
            "runs; only the best outlives it, as the version.",
        ),
    ),
    "hierarchical-roberta": Profile(
        summary="Long documents with RoBERTa: read chunk by chunk, the chunks weighed by attention, rare labels too.",
        base_model="roberta-base",
        family=HierarchicalOptions(max_chunks=20),
        hyperparameters={
            "num_train_epochs": 15,
            "batch_size": 4,
            "gradient_accumulation_steps": 4,
            "learning_rate": 2e-5,
            "head_learning_rate_multiplier": 2.0,
            "weight_decay": 0.01,
            "lr_scheduler_type": "linear_warmup_cosine",
            "warmup_ratio": 0.1,
            "max_grad_norm": 1.0,
            "class_weights": "balanced",
            "label_smoothing_factor": 0.0,
            "precision": "auto",
            "gradient_checkpointing": True,
            "logging_steps": 10,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
            "metric_for_best_model": "f1_macro",
            "early_stopping_patience": 5,
            "early_stopping_threshold": 0.001,
            "seed": 42,
        },
        notes=(
            "`precision` is `auto` where the recipe has mixed precision, for the same reason as in `rt-sentiment`.",
            "Checkpoints of every epoch are not kept beyond the job: only the best is, as the version.",
        ),
    ),
    "nepali-mbert": Profile(
        summary="Nepali and other languages with multilingual BERT, which tells capitals from small letters.",
        base_model="bert-base-multilingual-cased",
        hyperparameters={
            "num_train_epochs": 10,
            "batch_size": 16,
            "learning_rate": 2e-5,
            "head_learning_rate_multiplier": 1.0,
            "weight_decay": 0.01,
            "lr_scheduler_type": "constant",
            "warmup_steps": 0,
            "max_length": 512,
            "max_grad_norm": 1.0,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
            "early_stopping_patience": None,
        },
        notes=(
            "`weight_decay` 0.01, which the recipe names as its remedy for poor scores and AdamW has by default, is "
            "there from the start.",
            "The recipe publishes the last epoch; here it is the one with the best macro F1 on the validation split.",
        ),
    ),
    "research": Profile(
        summary="BERT for experiments that are to be repeated: fixed seed, deterministic kernels, patient stopping.",
        base_model="bert-base-uncased",
        hyperparameters={
            "num_train_epochs": 10,
            "batch_size": 16,
            "gradient_accumulation_steps": 1,
            "learning_rate": 2e-5,
            "head_learning_rate_multiplier": 1.0,
            "weight_decay": 0.01,
            "lr_scheduler_type": "linear",
            "warmup_steps": 500,
            "dropout": 0.1,
            "max_grad_norm": 1.0,
            "precision": "auto",
            "logging_steps": 100,
            "eval_strategy": "steps",
            "eval_steps": 500,
            "save_strategy": "steps",
            "save_steps": 1000,
            "save_total_limit": 3,
            "early_stopping_patience": 3,
            "early_stopping_threshold": 0.01,
            "seed": 42,
            "deterministic": True,
        },
        notes=(
            "`precision` is `auto` where the recipe has fp16, for the same reason as in `rt-sentiment`.",
            "The recipe names no metric for its best checkpoint; here it is macro F1, as in every job.",
            "Dropout within the encoder stays as the base model's config has it: 0.1 in BERT, as in the recipe.",
        ),
    ),
}
