"""Everything that is decided before the first step: machine, model, data, and every ``auto``."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from app.schemas.jobs import JobWarning
from worker import device as machine
from worker.data.prepare import Prepared, prepare
from worker.data.resolve import ModelFacts
from worker.events import AttemptSpec, Resolved
from worker.models import encoder
from worker.models.families import FAMILIES, default_rates, position_limit
from worker.models.head import dropout_of, set_dropout
from worker.models.tokenizer import pad_token_id, tokenizer_file
from worker.narration import Narrator
from worker.probe import Probe


@dataclass(frozen=True, slots=True)
class Setup:
    """What the phases after ``preparing`` work on."""

    device: torch.device
    model: PreTrainedModel
    tokenizer: Path
    pad_token_id: int
    position_limit: int
    data: Prepared


def set_up(spec: AttemptSpec, narrator: Narrator, check: Callable[[], None]) -> Setup:
    """Prepare an attempt and say what was resolved. Raises JobFailure when data, wishes and model do not fit."""
    wishes = spec.request.hyperparameters
    device = machine.choose_device()
    machine.use_threads(spec.threads)
    machine.use_deterministic(wishes.deterministic)
    precision = _precision(spec, device, narrator)
    machine.seed_everything(wishes.seed)
    loaded = encoder.load(spec.base_model_dir, spec.labels)
    tokenizer = tokenizer_file(spec.base_model_dir, scratch=spec.work_dir)
    facts = _facts(loaded, tokenizer, precision)
    data = prepare(
        spec.dataset_file,
        spec.labels,
        tokenizer=tokenizer,
        text=spec.request.text,
        wishes=wishes,
        model=facts,
        check=check,
    )
    _shape(loaded.model, data, device)
    for warning in (*_warnings(loaded.model.config), *data.warnings):
        narrator.warn(warning)
    narrator.say(
        Resolved(
            hyperparameters=data.hyperparameters,
            resolutions=data.resolutions,
            total_steps=data.total_steps,
            device=machine.device_name(device),
            base_model=spec.base_model,
        )
    )
    return Setup(device, loaded.model, tokenizer, facts.pad_token_id, facts.position_limit, data)


def _facts(loaded: encoder.Encoder, tokenizer: Path, precision: machine.PrecisionChoice) -> ModelFacts:
    config = loaded.model.config
    rates = default_rates(config, head_kept=loaded.head_kept)
    return ModelFacts(
        position_limit=position_limit(config),
        vocabulary=int(config.vocab_size),
        pad_token_id=pad_token_id(config, tokenizer),
        learning_rate=rates.learning_rate,
        head_learning_rate_multiplier=rates.head_multiplier,
        rates_reason=rates.reason,
        dropout=dropout_of(loaded.model),
        precision=precision.precision,
        precision_reason=precision.reason,
    )


def _precision(spec: AttemptSpec, device: torch.device, narrator: Narrator) -> machine.PrecisionChoice:
    probe = Probe(spec.cache_dir, machine=f"{machine.cpu_model()}\n{torch.__version__}")
    choice = machine.choose_precision(spec.request.hyperparameters.precision, device, probe)
    if choice.slow:
        narrator.warn(
            JobWarning(
                code="slow-precision",
                detail=f"{choice.precision} works on this device, but slower than the arithmetic it is good at.",
                remedy="Set precision to 'auto'.",
            )
        )
    return choice


def _warnings(config: Any) -> list[JobWarning]:
    if config.model_type in FAMILIES:
        return []
    detail = f"No test covers base models of type {config.model_type}; the export is verified all the same."
    return [JobWarning(code="untested-family", detail=detail)]


def _shape(model: PreTrainedModel, data: Prepared, device: torch.device) -> None:
    set_dropout(model, data.hyperparameters.dropout)
    if data.hyperparameters.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    nn.Module.to(model, device)
