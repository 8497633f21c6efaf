"""Everything that is decided before the first step: machine, model, data, and every ``auto``."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from app.doctor.facts import GPU_UNUSED
from app.queue.names import GPU_QUEUE
from app.schemas.datasets import SplitName
from app.schemas.families import FamilyOptions, HierarchicalOptions
from app.schemas.hyperparameters import Resolution
from app.schemas.inspections import Inspection
from app.schemas.jobs import JobWarning
from worker import device as machine
from worker.anatomy import inspect
from worker.data.batches import Batches
from worker.data.encode import encode
from worker.data.facts import Chunking, ModelFacts
from worker.data.long_texts import refuse_long
from worker.data.prepare import Prepared, prepare
from worker.data.rows import read_rows
from worker.data.tasks import Splits, TaskData, mixed, read_further, told
from worker.devices import devices_of, threads_of_each
from worker.events import AttemptSpec, Resolved
from worker.fitting import Room, fit
from worker.heads import Head, heads_of, logit_names
from worker.memory import Memory, memory_of
from worker.models import reading
from worker.models.compact import Ids, ids_in_use
from worker.models.families import default_rates, inner_config, known, position_limit
from worker.models.head import dropout_of, set_dropout
from worker.models.network import Blueprint, Network
from worker.models.packed import Packed, obstacle, packed
from worker.models.recompute import recompute
from worker.models.registry import build
from worker.models.tokenizer import pad_token_id
from worker.narration import Narrator
from worker.probe import Probe


@dataclass(frozen=True, slots=True)
class Setup:
    """What the phases after ``preparing`` work on."""

    device: torch.device
    model: PreTrainedModel
    packed: Packed | None
    """The same without padding, until it is released; None: it is called with padding."""
    tokenizer: Path
    pad_token_id: int
    position_limit: int
    data: Prepared
    resolutions: list[Resolution]
    """What every ``auto`` became, and what several tasks add."""
    inspection: Inspection
    heads: list[Head]
    """Which logits are which task's; the main one's first."""
    tasks: list[TaskData]
    """What the further tasks are judged on."""

    def ids_in_use(self) -> Ids | None:
        """Give the ids of all texts that training and its evaluations meet; None: the network keeps its whole table."""
        judged = [self.data.validation, *(task.validation for task in self.tasks)]
        splits = [batches.split.tokens for batches in (self.data.train, *judged) if batches is not None]
        return ids_in_use(self.model, self.data.hyperparameters, splits, padding=self.pad_token_id)

    @property
    def asked(self) -> nn.Module:
        """Give what is called for answers before the export: the model, without padding where that is exact."""
        return self.packed or self.model


def set_up(
    spec: AttemptSpec,
    narrator: Narrator,
    check: Callable[[], None],
    memory: Callable[[torch.device], Memory | None] = memory_of,
) -> Setup:
    """Prepare an attempt and say what was resolved. Raises JobFailure when data, wishes and model do not fit.

    ``memory`` tells what a device has of it; None: batches need not be fitted into it.
    """
    wishes = spec.request.hyperparameters
    device = machine.choose_device()
    machine.use_threads(threads_of_each(spec, device))
    machine.use_deterministic(wishes.deterministic)
    precision = _precision(spec, device, narrator)
    machine.seed_everything(wishes.seed)
    heads, further = heads_of(spec), read_further(spec)
    rows = read_rows(spec.dataset_file, spec.labels, spec.problem_type)
    told_of_tasks = told(rows["train"], further, heads)
    rows["train"] = mixed(rows["train"], further, heads)
    network = build(spec.request.family, _blueprint(spec, heads, rows["train"].texts, check))
    facts = _facts(network, precision, spec.request.family)
    data = prepare(
        rows,
        spec.labels,
        tokenizer=network.tokenizer,
        text=spec.request.text,
        wishes=wishes,
        model=facts,
        check=check,
        problem_type=spec.problem_type,
        synonyms_dir=spec.synonyms_dir,
        cache_dir=token_folder(spec),
    )
    _shape(network.model, data, device)
    limit = memory(device)
    data = _fitted(spec, heads, network.model, data, None if limit is None else Room(device, limit))
    wish = spec.request.hyperparameters.padding
    unpadded, padding = _packed(network.model, wish, data, device, limited=limit is not None)
    devices, why = devices_of(spec, data.hyperparameters)
    decided = data.hyperparameters.model_copy(update={"padding": padding.value, "devices": devices})
    data = replace(data, hyperparameters=decided)
    resolutions = [*told_of_tasks, *data.resolutions, padding, *why]
    for warning in (*_idle_gpu(spec, device), *_warnings(network.model.config), *data.warnings):
        narrator.warn(warning)
    inspection = inspect(network.model, data.hyperparameters, device)
    narrator.say(
        Resolved(
            hyperparameters=data.hyperparameters,
            resolutions=resolutions,
            total_steps=data.total_steps,
            device=machine.device_name(device) + (f", {devices} processes" if devices > 1 else ""),
            base_model=spec.base_model,
            inspection=inspection,
        )
    )
    return Setup(
        device=device,
        model=network.model,
        packed=unpadded,
        tokenizer=network.tokenizer,
        pad_token_id=facts.pad_token_id,
        position_limit=facts.position_limit,
        data=data,
        resolutions=resolutions,
        inspection=inspection,
        heads=heads,
        tasks=[_task(head, splits, data, facts, check) for head, splits in zip(heads[1:], further, strict=True)],
    )


def token_folder(spec: AttemptSpec) -> Path | None:
    """Name the folder where ids of texts are kept for the next attempt."""
    return None if spec.cache_dir is None else spec.cache_dir / "tokens"


def _task(head: Head, splits: Splits, data: Prepared, facts: ModelFacts, check: Callable[[], None]) -> TaskData:
    """Encode what a further task is judged on as the main one was."""

    def batches(name: SplitName) -> Batches | None:
        if not splits[name].texts:
            return None
        split = encode(splits[name], data.encoder, vocabulary=facts.vocabulary, check=check, cache=data.tokens)
        if data.encoder.refuses_long:
            refuse_long({name: split}, data.encoder.settings)
        return Batches(split, data.encoder)

    return TaskData(head, batches("validation"), batches("test"))


def _fitted(
    spec: AttemptSpec, heads: Sequence[Head], model: PreTrainedModel, data: Prepared, room: Room | None
) -> Prepared:
    if room is None or spec.request.hyperparameters.batch_size != "auto":
        return data
    return fit(spec, heads, model, data, room)


def _blueprint(spec: AttemptSpec, heads: Sequence[Head], texts: Sequence[str], check: Callable[[], None]) -> Blueprint:
    return Blueprint(
        labels=logit_names(heads),
        problem_type=spec.problem_type,
        base=spec.base_model_dir,
        texts=texts,
        text=spec.request.text,
        scratch=spec.work_dir,
        check=check,
        heads=heads,
    )


def _facts(network: Network, precision: machine.PrecisionChoice, family: FamilyOptions) -> ModelFacts:
    config = network.model.config
    rates = default_rates(config, head_kept=network.head_kept)
    return ModelFacts(
        position_limit=position_limit(config),
        vocabulary=int(config.vocab_size),
        pad_token_id=pad_token_id(config, network.tokenizer),
        learning_rate=rates.learning_rate,
        head_learning_rate_multiplier=rates.head_multiplier,
        rates_reason=rates.reason,
        dropout=dropout_of(network.model),
        precision=precision.precision,
        precision_reason=precision.reason,
        chunking=_chunking(family),
    )


def _chunking(family: FamilyOptions) -> Chunking | None:
    if not isinstance(family, HierarchicalOptions):
        return None
    return Chunking(length=family.chunk_length, max_chunks=family.max_chunks, overlap=family.overlap)


def _idle_gpu(spec: AttemptSpec, device: torch.device) -> Iterator[JobWarning]:
    """Say when the job computes on the processor although its worker has a GPU, or it was sent to those that have."""
    if device.type == "cpu" and (spec.cuda_device is not None or spec.request.queue == GPU_QUEUE):
        there = "This worker has a GPU" if spec.cuda_device is not None else "The job is in the queue of GPUs"
        yield JobWarning(
            code=GPU_UNUSED,
            detail=f"{there}, but PyTorch sees none, so the job trains on the processor, many times slower.",
            remedy="Run python -c 'import torch; print(torch.version.cuda, torch.cuda.is_available())' on the worker: "
            "None wants a build of PyTorch for CUDA, False a newer driver, or a container that is given the device.",
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
    if known(config):
        return []
    detail = (
        f"No test covers base models of type {inner_config(config).model_type}; the export is verified all the same."
    )
    return [JobWarning(code="untested-family", detail=detail)]


def _packed(
    model: PreTrainedModel, wish: str, data: Prepared, device: torch.device, *, limited: bool
) -> tuple[Packed | None, Resolution]:
    """Leave padding away where the network allows it; say so, or why not."""
    if wish == "longest":
        return None, Resolution(field="padding", value="longest", reason="the job asks for it")
    why = "torch.compile wants batches of few shapes" if data.hyperparameters.torch_compile else obstacle(model, device)
    if why is None and limited:
        why = "what fits into memory was tried with padding"
    if why is None:
        reason = f"{model.config.model_type} reads texts of any length one behind the other, with the same result"
        return packed(model), Resolution(field="padding", value="packed", reason=reason)
    reason = f"{why}; each batch has texts of like length"
    return None, Resolution(field="padding", value="longest", reason=reason)


def _shape(model: PreTrainedModel, data: Prepared, device: torch.device) -> None:
    set_dropout(model, data.hyperparameters.dropout)
    reading.note(model.config, data.encoder.settings)
    if data.hyperparameters.gradient_checkpointing:
        recompute(model)
    nn.Module.to(model, device)
