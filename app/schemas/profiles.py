"""Profiles: one word for a set of defaults that people have trained classifiers with."""

from collections.abc import Mapping
from dataclasses import dataclass
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


PROFILES: Mapping[ProfileName, Profile] = {
    "rt-sentiment": Profile(
        summary="Sentiment of short texts with a small, quick encoder, for answers in real time.",
        base_model="distilbert-base-uncased",
        hyperparameters={
            "num_train_epochs": 3,
            "batch_size": 16,
            "learning_rate": 2e-5,
            "weight_decay": 0.01,
            "warmup_steps": 500,
            "max_length": 512,
            "precision": "auto",
            "logging_steps": 100,
            "eval_strategy": "steps",
            "eval_steps": 500,
            "metric_for_best_model": "f1_weighted",
            "early_stopping_patience": 3,
        },
    ),
    "twitter-bert": Profile(
        summary="Tweets with BERT: four whole epochs, the one with the best accuracy is kept.",
        base_model="bert-base-uncased",
        hyperparameters={
            "num_train_epochs": 4,
            "batch_size": 16,
            "learning_rate": 2e-5,
            "weight_decay": 0.01,
            "warmup_ratio": 0.1,
            "dropout": 0.1,
            "max_grad_norm": 1.0,
            "eval_strategy": "epoch",
            "metric_for_best_model": "accuracy",
            "early_stopping_patience": None,
        },
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
    ),
    "nepali-mbert": Profile(
        summary="Nepali and other languages with multilingual BERT, which tells capitals from small letters.",
        base_model="bert-base-multilingual-cased",
        hyperparameters={
            "num_train_epochs": 10,
            "batch_size": 16,
            "learning_rate": 2e-5,
            "weight_decay": 0.01,
            "warmup_steps": 0,
            "max_length": 512,
            "max_grad_norm": 1.0,
            "eval_strategy": "epoch",
            "early_stopping_patience": None,
        },
    ),
    "research": Profile(
        summary="BERT for experiments that are to be repeated: fixed seed, deterministic kernels, patient stopping.",
        base_model="bert-base-uncased",
        hyperparameters={
            "num_train_epochs": 10,
            "batch_size": 16,
            "gradient_accumulation_steps": 1,
            "learning_rate": 2e-5,
            "weight_decay": 0.01,
            "lr_scheduler_type": "linear",
            "warmup_steps": 500,
            "dropout": 0.1,
            "max_grad_norm": 1.0,
            "precision": "auto",
            "logging_steps": 100,
            "eval_strategy": "steps",
            "eval_steps": 500,
            "early_stopping_patience": 3,
            "early_stopping_threshold": 0.01,
            "seed": 42,
            "deterministic": True,
        },
    ),
}
