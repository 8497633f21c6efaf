"""The block for publications: how a model was trained, as the methods section of a paper states it."""

from collections.abc import Iterator
from typing import Any

from app.artifacts.bundle import Manifest
from app.doctor.facts import has_label_sets
from app.reports.methods import ways
from app.reports.wording import count, duration, number, score, setting
from app.schemas.datasets import DatasetProfile
from app.schemas.families import FamilyOptions, HierarchicalOptions, MultitaskOptions
from app.schemas.jobs import Job
from app.schemas.metrics import TaskEvaluation
from app.schemas.reports import Publication, ReportLine

PRECISIONS = {
    "fp32": "FP32, no mixed precision",
    "bf16": "BF16 mixed precision (automatic casting, FP32 weights)",
    "fp16": "FP16 mixed precision (automatic casting with loss scaling, FP32 weights)",
}
DECAYS = {
    "linear": "linear decay to 0",
    "cosine": "cosine decay to {floor}",
    "linear_warmup_cosine": "cosine decay to {floor}",
    "cosine_with_restarts": "cosine decay to {floor} with warm restarts",
    "polynomial": "polynomial decay to {floor}",
    "inverse_sqrt": "decay with the inverse square root of the step",
    "constant": "constant rate",
}


def publication(
    job: Job,
    *,
    epochs_run: float | None,
    total_steps: int | None,
    manifest: Manifest | None = None,
    profile: DatasetProfile | None = None,
) -> Publication:
    """Describe the training of ``job``; lines whose facts are unknown, or that do not apply, are left out."""
    several = has_label_sets(job.metrics.validation, profile)
    known = manifest.thresholds if manifest is not None else None
    thresholds = dict(zip(manifest.labels, known, strict=True)) if manifest is not None and known else None
    lines = [
        *_before(job, epochs_run, total_steps),
        *ways(job, several=several, thresholds=thresholds),
        *_after(job, epochs_run, manifest),
    ]
    wishes = job.hyperparameters
    batch, accumulation = _whole(wishes, "batch_size"), _whole(wishes, "gradient_accumulation_steps") or 1
    return Publication(
        lines=[ReportLine(name=name, text=text) for name, text in lines if text],
        batch_size=batch,
        effective_batch_size=batch * accumulation if batch else None,
        epochs_planned=_whole(wishes, "num_train_epochs"),
        epochs_run=epochs_run,
        train_seconds=job.usage.train_seconds,
    )


def _before(job: Job, epochs_run: float | None, total_steps: int | None) -> Iterator[tuple[str, str]]:
    wishes = job.hyperparameters
    yield "Base model", _base_model(job)
    yield "Data", _data(job)
    yield "Tasks", _tasks(job.family_options)
    yield "Optimizer", _optimizer(wishes)
    yield "Batch size", _batch(wishes)
    yield "Epochs", _epochs(wishes, epochs_run)
    yield "Learning rate schedule", _schedule(wishes, total_steps)
    yield "Precision", PRECISIONS.get(str(wishes.get("precision")), _given(wishes, "precision"))
    yield "Class weights", _class_weights(wishes)
    yield "Gradient clipping", _clipping(wishes)
    yield "Regularization", _regularization(wishes)


def _after(job: Job, epochs_run: float | None, manifest: Manifest | None) -> Iterator[tuple[str, str]]:
    wishes = job.hyperparameters
    yield "Input", _input(job)
    yield "Seed", _seed(wishes)
    yield "Software", _software(manifest)
    yield "Hardware", _hardware(job)
    yield "Training time", _time(job, epochs_run)
    yield "Best checkpoint", _best(job)
    yield "Scores", _scores(job)


def _base_model(job: Job) -> str:
    if job.base_model.source == "none":
        return f"none, trained from scratch, family {job.family}"
    revision = f", revision {job.base_model.revision}" if job.base_model.revision else ""
    origin = f"{job.base_model.id} ({job.base_model.source}{revision})"
    if job.family == "textcnn" and job.base_model.source != "version":
        return f"tokenizer of {origin}, trained from scratch, family {job.family}"
    return f"{origin}, family {job.family}"


def _data(job: Job) -> str:
    parts = [f"{count(rows)} {split}" for split, rows in job.dataset.counts.items()]
    return f"{', '.join(parts)} rows, sha256 {job.dataset.sha256[:12]}" if parts else ""


def _tasks(family: FamilyOptions) -> str:
    if not isinstance(family, MultitaskOptions):
        return ""
    weights = {family.name: family.loss_weight, **{name: task.loss_weight for name, task in family.tasks.items()}}
    parts = [f"{name} (loss weight {number(weight)})" for name, weight in weights.items()]
    return f"{', '.join(parts)}; one encoder, mixed batches, a linear head each"


def _optimizer(wishes: dict[str, Any]) -> str:
    names = {"learning_rate": "lr", "weight_decay": "weight_decay"}
    if wishes.get("optim") == "adafactor":
        return f"Adafactor ({_in_short(wishes, names)}){_head_rate(wishes)}"
    names["adam_epsilon"] = "eps"
    parts = [f"{short}={_given(wishes, name)}" for name, short in names.items() if wishes.get(name) is not None]
    if _is_number(wishes.get("adam_beta1")) and _is_number(wishes.get("adam_beta2")):
        parts.insert(-1, f"betas=({number(wishes['adam_beta1'])}, {number(wishes['adam_beta2'])})")
    return f"AdamW ({', '.join(parts)}){_head_rate(wishes)}"


def _in_short(wishes: dict[str, Any], names: dict[str, str]) -> str:
    return ", ".join(f"{short}={_given(wishes, name)}" for name, short in names.items() if wishes.get(name) is not None)


def _head_rate(wishes: dict[str, Any]) -> str:
    times = wishes.get("head_learning_rate_multiplier")
    return f"; classification head at {number(times)} times the rate" if _is_number(times) and times != 1 else ""


def _batch(wishes: dict[str, Any]) -> str:
    batch, accumulation = _whole(wishes, "batch_size"), _whole(wishes, "gradient_accumulation_steps") or 1
    if batch is None:
        return _given(wishes, "batch_size")
    how = f" (gradient accumulation over {accumulation})" if accumulation > 1 else ""
    return f"{batch} physical, {batch * accumulation} effective{how}"


def _epochs(wishes: dict[str, Any], epochs_run: float | None) -> str:
    steps = _whole(wishes, "max_steps")
    planned = _given(wishes, "num_train_epochs") + (f" or {count(steps)} steps" if steps else "")
    patience = wishes.get("early_stopping_patience")
    if patience is None:
        stopping = "without early stopping"
    else:
        threshold = wishes.get("early_stopping_threshold")
        least = f", threshold={number(threshold)}" if _is_number(threshold) and threshold else ""
        stopping = f"with early stopping (patience={setting(patience)}{least})"
    ran = f"; {number(epochs_run)} run" if epochs_run else ""
    return f"{planned} {stopping}{ran}" if planned else ""


def _schedule(wishes: dict[str, Any], total_steps: int | None) -> str:
    steps, ratio = _whole(wishes, "warmup_steps"), wishes.get("warmup_ratio")
    kind = str(wishes.get("lr_scheduler_type", ""))
    if kind == "one_cycle":
        return f"one cycle{f', rising over {count(steps)} steps' if steps else ''}"
    decay = _decay(kind, wishes.get("lr_scheduler_kwargs") or {})
    if steps is None:
        warm_up = f"linear warm-up over {number(ratio * 100)} % of the steps" if _is_number(ratio) and ratio else ""
    elif steps:
        share = f" ({steps / total_steps:.0%})".replace("%", " %") if total_steps else ""
        warm_up = f"linear warm-up over {count(steps)} steps{share}"
    else:
        warm_up = "no warm-up"
    return ", then ".join(part for part in (warm_up, decay) if part)


def _decay(kind: str, options: dict[str, Any]) -> str:
    floor = options.get("min_lr_ratio")
    words = DECAYS.get(kind, kind).format(floor=f"{number(floor)} of the peak" if floor else "0")
    given = [f"{name}={setting(value)}" for name, value in options.items() if value and name != "min_lr_ratio"]
    return f"{words} ({', '.join(given)})" if given else words


def _class_weights(wishes: dict[str, Any]) -> str:
    weights = wishes.get("class_weights")
    return f"[{setting(weights)}]" if isinstance(weights, dict) else setting(weights)


def _clipping(wishes: dict[str, Any]) -> str:
    if "max_grad_norm" not in wishes:
        return ""
    return "none" if wishes["max_grad_norm"] is None else f"max_norm={_given(wishes, 'max_grad_norm')}"


def _regularization(wishes: dict[str, Any]) -> str:
    names = {"dropout": "dropout of the head", "label_smoothing_factor": "label smoothing"}
    return ", ".join(f"{words} {_given(wishes, name)}" for name, words in names.items() if wishes.get(name) is not None)


def _input(job: Job) -> str:
    length = _given(job.hyperparameters, "max_length")
    steps = [name for name, value in job.text.model_dump().items() if value is True]
    steps.insert(0, job.text.unicode_normalization)
    if job.text.urls != "keep":
        steps.append("URLs replaced by http" if job.text.urls == "replace" else "URLs removed")
    cleaning = ", ".join(step.replace("_", " ") for step in steps if step != "none")
    return f"at most {length} tokens{_long(job)}; cleaning: {cleaning or 'none'}" if length else ""


def _long(job: Job) -> str:
    """Say what becomes of longer texts."""
    if isinstance(job.family_options, HierarchicalOptions):
        return f" a chunk, {job.family_options.max_chunks} chunks a text"
    how = {"head_tail": ", of longer texts beginning and end", "error": ", longer texts refused"}
    return how.get(str(job.hyperparameters.get("long_text")), "")


def _seed(wishes: dict[str, Any]) -> str:
    kernels = ", deterministic kernels" if wishes.get("deterministic") is True else ""
    seed = _given(wishes, "seed")
    return seed + kernels if seed else ""


def _software(manifest: Manifest | None) -> str:
    if manifest is None:
        return ""
    return ", ".join(f"{name} {version}" for name, version in sorted(manifest.libraries.items()))


def _hardware(job: Job) -> str:
    device = job.worker.device if job.worker else None
    peak = job.usage.peak_memory_mb
    return (device or "") + (f" (peak memory {peak / 1024:.1f} GiB)" if device and peak else "")


def _time(job: Job, epochs_run: float | None) -> str:
    seconds = job.usage.train_seconds
    if seconds is None:
        return ""
    return duration(seconds) + (f" ({number(epochs_run)} epochs)" if epochs_run else "")


def _best(job: Job) -> str:
    best = job.metrics.best
    return f"epoch {number(best.epoch)}, step {count(best.step)} ({best.name}={score(best.value)})" if best else ""


def _scores(job: Job) -> str:
    judged = [each for each in (job.metrics.validation, job.metrics.test) if each]
    own = [f"{each.split}: {_scored(each)}" for each in judged]
    others = [f"{task} {each.split}: {_scored(scores)}" for each in judged for task, scores in each.tasks.items()]
    return "; ".join([*own, *others])


def _scored(scores: TaskEvaluation) -> str:
    rows = f"(n={count(scores.examples)})"
    if scores.hamming_loss is None:
        return f"accuracy={score(scores.accuracy)}, f1_macro={score(scores.f1_macro)} {rows}"
    return (
        f"f1_macro={score(scores.f1_macro)}, f1_micro={score(scores.f1_micro)}, "
        f"all labels right={score(scores.accuracy)}, hamming_loss={score(scores.hamming_loss)} {rows}"
    )


def _whole(wishes: dict[str, Any], name: str) -> int | None:
    value = wishes.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _given(wishes: dict[str, Any], name: str) -> str:
    return setting(wishes[name]) if wishes.get(name) is not None else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
