"""How a model is fine-tuned: names as in Hugging Face TrainingArguments, every default written out."""

import math
import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.schemas.augmentation import AugmentationOptions
from app.schemas.base import All, Auto, LabelName, StrictModel
from app.schemas.curriculum import CurriculumOptions
from app.schemas.distillation import DistillationOptions
from app.schemas.schedules import Scheduler, SchedulerOptions
from app.schemas.text import LongText

Precision = Literal["fp32", "bf16", "fp16"]
Optimizer = Literal["adamw", "adafactor"]
Probability = Annotated[float, Field(gt=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0)]

SCALAR_METRICS = (
    "loss",
    "accuracy",
    "f1_macro",
    "f1_weighted",
    "precision_macro",
    "precision_weighted",
    "recall_macro",
    "recall_weighted",
    "f1_micro",
    "precision_micro",
    "recall_micro",
)
MOST_PASSES = 1024
"""Forward passes of one optimizer step."""
MOST_DEVICES = 64
ADAMW_ONLY = {"adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-8}
"""Fields that other optimizers have not, with their defaults."""
WEIGHABLE = SCALAR_METRICS[1:]
WEIGHTS_MAY_MISS = 1e-6
LONGEST_METRIC_NAME = 150
PER_CLASS_METRICS = ("f1", "precision", "recall")
METRIC_PATTERN = rf"^({'|'.join(SCALAR_METRICS)}|({'|'.join(PER_CLASS_METRICS)}):.{{1,200}})$"
MetricName = Annotated[str, Field(pattern=METRIC_PATTERN, examples=["f1_macro", "accuracy", "loss", "recall:negative"])]
WeightedMetrics = Annotated[dict[str, PositiveFloat], Field(min_length=1, max_length=100)]


def in_one_name(metric: str | dict[str, float]) -> str:
    """Name a metric for people and for the history: ``0.6*f1:yes + 0.4*f1:no``."""
    if isinstance(metric, str):
        return metric
    name = " + ".join(f"{weight:g}*{part}" for part, weight in metric.items())
    return name if len(name) <= LONGEST_METRIC_NAME else f"weighted mean of {len(metric)} metrics"


class Hyperparameters(StrictModel):
    """The wishes of the client. ``auto`` is resolved when the job runs and shown with its reason."""

    num_train_epochs: Annotated[int, Field(ge=1, le=1000)] | Auto = "auto"
    """Passes over the training split; auto: 10 under 5,000 rows, 5 under 20,000, else 3."""
    max_train_seconds: Annotated[float, Field(ge=1, le=10_000_000)] | None = None
    """Training ends after so many seconds with its best checkpoint, which is evaluated and exported as always. All
    attempts count together, lost ones too; waiting and preparing do not. Without anything saved, the job fails."""
    max_gpu_seconds: Annotated[float, Field(ge=1, le=10_000_000)] | None = None
    """The same, counting only training on a GPU, and that of each where there are several: what the job may cost."""
    max_steps: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Optimizer steps after which training ends, whatever the epochs say."""
    batch_size: Annotated[int, Field(ge=1, le=4096)] | Auto = "auto"
    """Texts per forward pass; auto: 8 under 200 training rows, 16 under 1,000 or with texts of more than 256 tokens,
    else 32. On a GPU that is tried on the longest texts: what does not fit into its memory at once goes through in
    several passes, and gradient_accumulation_steps grows by as much."""
    gradient_accumulation_steps: Annotated[int, Field(ge=1, le=MOST_PASSES)] = 1
    """Forward passes per optimizer step: the effective batch is batch_size times this."""
    devices: Annotated[int, Field(ge=1, le=MOST_DEVICES)] | Auto = 1
    """GPUs of one worker that share the texts of each optimizer step, each with a process of its own; without a GPU,
    processes that share the cores. They change how long a step takes and not what it learns from: batch_size times
    gradient_accumulation_steps texts, whatever this is. auto: the GPUs that the worker has for each of its slots, as
    many as leave each at least 8 texts of a step; 1 without a GPU."""
    eval_batch_size: Annotated[int, Field(ge=1, le=4096)] = 64
    """Texts per forward pass in evaluation; of the hierarchical family, chunks."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] | Auto = "auto"
    """Peak learning rate of the encoder; auto: a measured default of the base model."""
    head_learning_rate_multiplier: Annotated[float, Field(gt=0, le=1000)] | Auto = "auto"
    """The classification head learns this many times faster than the encoder."""
    head_init: Literal["random", "probe"] = "random"
    """How the output layer starts: random draws it, or keeps it where the base model was trained on these labels; probe
    fits it to the features of the frozen base on up to 4,096 training texts, which is meant for runs of about one
    epoch."""
    layerwise_lr_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Each layer of the encoder learns this many times as fast as the one above it; 1: all at the same rate."""
    freeze_base: bool = False
    """Train only the classification head; learning_rate auto is then higher."""
    unfreeze_schedule: (
        Annotated[dict[str, Annotated[int, Field(ge=0, le=1000)] | All], Field(min_length=1, max_length=100)] | None
    ) = None
    """Gradual unfreezing: from which epoch, counted from 0, how many of the encoder's top layers learn, or "all" of it
    with its embeddings: {"2": 2, "4": "all"} trains the head alone in the first two epochs."""
    optim: Optimizer = "adamw"
    """adamw: AdamW (Loshchilov and Hutter, 2019), in one fused kernel where the device has it. adafactor: needs hardly
    any memory of its own (Shazeer and Stern, 2018); its learning rate is relative to the size of the weights."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Decoupled weight decay; biases and normalization weights have none."""
    adam_beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Decay of AdamW's running mean of gradients; for adamw only, as the next two."""
    adam_beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of AdamW's running mean of squared gradients."""
    adam_epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-8
    """Keeps AdamW from dividing by zero."""
    lr_scheduler_type: Scheduler = "linear"
    """Shape of the learning rate after warm-up; linear_warmup_cosine is cosine by its other name, one_cycle is torch's
    OneCycleLR and warms up by itself."""
    lr_scheduler_kwargs: SchedulerOptions | None = None
    """Options of the schedule, such as T_0 and T_mult of cosine_with_restarts."""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of all steps over which the learning rate rises from 0; 0.1 unless warmup_steps is given."""
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    """Warm-up in optimizer steps; excludes warmup_ratio."""
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Gradients are scaled down to this norm; null: no clipping."""
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """focal: cross-entropy that counts rows less the better they are answered already (Lin et al., 2017)."""
    focal_gamma: Annotated[float, Field(ge=0, le=10)] | None = None
    """Exponent of the focal loss: 0 is cross-entropy; null: 2."""
    label_smoothing_factor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each target that is spread evenly over all classes."""
    class_weights: Literal["none", "balanced"] | Auto | dict[LabelName, PositiveFloat] = "none"
    """Loss weight of each class: balanced is total / (classes * count) on the training split. Of multi_label, how much
    a row counts that has the label: balanced is rows without it / rows with it."""
    thresholds: Probability | Literal["tuned"] | dict[LabelName, Probability] = 0.5
    """Of multi_label: the probability from which a label is given, one for all or by label (0.5 where none is named).
    tuned: for each label the one with the highest F1 on the validation split, found after training."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Dropout before the classification head; null: what the base model says."""
    max_length: Annotated[int, Field(ge=8, le=8192)] | Auto = "auto"
    """Longest input in tokens; auto: what 99 % of the training texts keep within, up to the model's limit. Of the
    hierarchical family, the length of a chunk."""
    long_text: LongText | Auto = "auto"
    """What becomes of longer texts: truncate keeps their beginning; head_tail a quarter of the room from the beginning
    and the rest from the end (128 and 382 of 510 tokens; Sun et al., 2019); error refuses the job, and later the
    prediction; hierarchical reads all chunks and takes that family. auto: hierarchical of that family, else truncate.
    """
    precision: Precision | Auto = "auto"
    """Arithmetic of the forward pass; auto: bf16 where the device is fast at it, else fp16 on CUDA, else fp32."""
    padding: Literal["packed", "longest"] | Auto = "auto"
    """What fills up texts that are shorter than others of their batch; batches have texts of like length in any case.
    packed, as auto: on a CPU encoders of the families BERT, DistilBERT, RoBERTa, XLM-R and CamemBERT read texts one
    behind the other without padding, which gives the same answers; other networks as longest. longest: each batch is as
    wide as its longest text."""
    gradient_checkpointing: bool = False
    """Trade time for memory: recompute activations in the backward pass."""
    torch_compile: bool = False
    """Compile the model: slow first steps, then faster ones on a GPU. Where there is no compiler it is left out with a
    warning."""
    deterministic: bool = False
    """True: only kernels that give the same bits every time. False: the fastest ones, tried out by cuDNN."""
    distillation: DistillationOptions | None = None
    """Learn from a teacher's answers too; null: from the labels alone."""
    augmentation: AugmentationOptions | None = None
    """Add altered copies of the training texts; null: none."""
    curriculum: CurriculumOptions | None = None
    """Begin with the easier rows of the training split; null: all rows in every epoch."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 42
    """Decides the fresh head, the order of the batches and the dropout."""
    logging_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    """Optimizer steps between two points of the training curves."""
    eval_strategy: Literal["epoch", "steps"] = "epoch"
    """Evaluate after every epoch, or every eval_steps."""
    eval_steps: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Optimizer steps between two evaluations; required by eval_strategy steps, refused otherwise."""
    save_strategy: Literal["time", "epoch", "steps", "no"] = "time"
    """When training is saved, so that a lost worker costs little: time: as often as the service is set to;
    epoch, steps: after every epoch or every save_steps; no: only when a worker is shut down. The best weights are kept
    in any case."""
    save_steps: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Optimizer steps between two saves; required by save_strategy steps, refused otherwise."""
    save_total_limit: Annotated[int, Field(ge=1, le=100)] = 2
    """Saves that are kept while the job runs; older ones are removed."""
    metric_for_best_model: MetricName | WeightedMetrics = "f1_macro"
    """Metric on the validation split that picks the best checkpoint: one of the scalar metrics, or f1:LABEL,
    precision:LABEL, recall:LABEL; or several with weights that add up to 1, such as {"f1:adult": 0.4, "f1_macro": 0.6}.
    Only loss is better when smaller."""
    early_stopping_patience: Annotated[int, Field(ge=1, le=1000)] | None = 3
    """Evaluations without improvement after which training stops; null: never."""
    early_stopping_threshold: Annotated[float, Field(ge=0)] = 0.0
    """Only an improvement larger than this counts."""

    @model_validator(mode="after")
    def _rules_across_fields(self) -> Self:
        if self.warmup_steps is not None and self.warmup_ratio is not None:
            raise ValueError("warmup_steps and warmup_ratio exclude each other; give one of them")
        if self.eval_strategy == "steps" and self.eval_steps is None:
            raise ValueError("eval_strategy 'steps' needs eval_steps; give it, or use eval_strategy 'epoch'")
        if self.eval_strategy == "epoch" and self.eval_steps is not None:
            raise ValueError("eval_steps needs eval_strategy 'steps'")
        if (self.save_strategy == "steps") != (self.save_steps is not None):
            raise ValueError("save_strategy 'steps' and save_steps belong together; give both or neither")
        if self.max_steps is not None and self.warmup_steps is not None and self.warmup_steps >= self.max_steps:
            raise ValueError(f"warmup_steps ({self.warmup_steps}) must be smaller than max_steps ({self.max_steps})")
        if self.focal_gamma is not None and self.loss != "focal":
            raise ValueError("focal_gamma needs loss 'focal'")
        self._check_schedule()
        self._check_optimizer()
        self._check_freezing()
        self._check_metric()
        return self

    def _check_metric(self) -> None:
        if isinstance(self.metric_for_best_model, str):
            return
        for name in self.metric_for_best_model:
            if re.fullmatch(METRIC_PATTERN, name) is None:
                raise ValueError(
                    f"metric_for_best_model: its keys are metrics such as {', '.join(WEIGHABLE[:3])}, f1:LABEL"
                )
            if name == "loss":
                raise ValueError("metric_for_best_model: loss is better when smaller and cannot be weighed with others")
        total = sum(self.metric_for_best_model.values())
        if abs(total - 1) > WEIGHTS_MAY_MISS:
            raise ValueError(f"metric_for_best_model: the weights add up to {total:g}, not to 1")

    def _check_freezing(self) -> None:
        if self.unfreeze_schedule is None:
            return
        if self.freeze_base:
            raise ValueError("freeze_base and unfreeze_schedule exclude each other; give one of them")
        for epoch in self.unfreeze_schedule:
            if not (epoch.isascii() and epoch.isdecimal() and len(epoch) <= 4):
                raise ValueError('the keys of unfreeze_schedule are epochs, counted from 0, such as "2"')
        in_order = [layers for _, layers in sorted(self.unfreeze_schedule.items(), key=lambda item: int(item[0]))]
        heights = [math.inf if layers == "all" else layers for layers in in_order]
        if heights != sorted(heights):
            raise ValueError("unfreeze_schedule must never freeze again: later epochs need as many layers or more")

    def _check_optimizer(self) -> None:
        if self.optim == "adamw":
            return
        for name, usual in ADAMW_ONLY.items():
            if getattr(self, name) != usual:
                raise ValueError(f"{name} belongs to optim 'adamw', not to '{self.optim}'; leave it out")
        options = self.lr_scheduler_kwargs
        if self.lr_scheduler_type == "one_cycle" and (options is None or options.cycle_momentum is not False):
            raise ValueError(
                f"one_cycle moves adam_beta1, which optim '{self.optim}' has not; "
                "set cycle_momentum to false in lr_scheduler_kwargs"
            )

    def _check_schedule(self) -> None:
        if self.lr_scheduler_kwargs is not None:
            self.lr_scheduler_kwargs.refuse_unsuited(self.lr_scheduler_type)
        if self.lr_scheduler_type == "one_cycle" and (self.warmup_ratio or self.warmup_steps):
            raise ValueError(
                "one_cycle warms up by itself; leave out warmup_ratio and warmup_steps, "
                "and set pct_start in lr_scheduler_kwargs"
            )


class ResolvedHyperparameters(Hyperparameters):
    """The same with every ``auto`` and every default decided: what really ran."""

    num_train_epochs: int
    batch_size: int
    devices: int = 1
    learning_rate: float
    head_learning_rate_multiplier: float
    class_weights: Literal["none"] | dict[LabelName, PositiveFloat]
    dropout: float
    max_length: int
    long_text: LongText = "truncate"
    precision: Precision
    padding: Literal["packed", "longest"] = "longest"
    warmup_steps: int
    warmup_ratio: None = None

    @model_validator(mode="after")
    def _rules_across_fields(self) -> Self:
        return self  # the wishes kept the rules; what they became may lie outside, as the warm-up of one_cycle does


class Resolution(StrictModel):
    """What one ``auto`` became, and why."""

    field: str
    """The hyperparameter."""
    value: int | float | str | dict[str, float]
    """What it became."""
    reason: str
    """Why, with the numbers that decided."""
