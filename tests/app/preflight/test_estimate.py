"""The estimate before a job agrees with what the worker decides, for texts that are long."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.preflight.estimate import estimate
from app.schemas.hyperparameters import Hyperparameters
from worker.data.facts import Chunking, Facts, ModelFacts
from worker.data.resolve import resolve

MODEL = ModelFacts(
    position_limit=512,
    vocabulary=30_522,
    pad_token_id=0,
    learning_rate=5e-5,
    head_learning_rate_multiplier=1.0,
    rates_reason="",
    dropout=0.1,
    precision="fp32",
    precision_reason="",
)


@given(
    rows=st.integers(2, 60_000),
    batch_size=st.one_of(st.just("auto"), st.integers(1, 64)),
    epochs=st.one_of(st.just("auto"), st.integers(1, 50)),
    accumulation=st.integers(1, 8),
    max_steps=st.one_of(st.none(), st.integers(1, 10_000)),
    curriculum=st.one_of(st.none(), st.fixed_dictionaries({"num_epochs": st.integers(1, 12)})),
    in_chunks=st.booleans(),
    tokens=st.integers(8, 512),
    copies=st.integers(0, 3),
)
def test_agrees_with_the_worker(
    rows: int,
    batch_size: int | str,
    epochs: int | str,
    accumulation: int,
    max_steps: int | None,
    curriculum: dict[str, int] | None,
    in_chunks: bool,
    tokens: int,
    copies: int,
) -> None:
    wishes = Hyperparameters.model_validate(
        {
            "batch_size": batch_size,
            "num_train_epochs": epochs,
            "gradient_accumulation_steps": accumulation,
            "max_steps": max_steps,
            "curriculum": curriculum,
            "augmentation": {"augmentation_factor": copies} if copies else None,
        }
    )
    model = replace(MODEL, chunking=Chunking("auto", 20, 0)) if in_chunks else MODEL
    answers = resolve(wishes, Facts({"a": (rows - 1) * (1 + copies), "b": 1 + copies}, np.asarray([tokens]), model))
    train = {"a": rows - 1, "b": 1}
    size = estimate(wishes, train_rows=train, validation_rows=1, in_chunks=in_chunks, max_length=tokens)
    most = estimate(wishes, train_rows=train, validation_rows=1, in_chunks=in_chunks)
    assert most.total_steps >= size.total_steps
    assert size.batch_size == answers.hyperparameters.batch_size
    assert size.num_train_epochs == answers.hyperparameters.num_train_epochs
    assert size.total_steps == answers.total_steps


@pytest.mark.parametrize("rows", [150, 500, 5_000])
def test_short_texts_never_take_more_steps(rows: int) -> None:
    wishes = Hyperparameters()
    answers = resolve(wishes, Facts({"a": rows - 1, "b": 1}, np.asarray([12]), MODEL))
    assert estimate(wishes, train_rows={"a": rows - 1, "b": 1}, validation_rows=1).total_steps >= answers.total_steps
