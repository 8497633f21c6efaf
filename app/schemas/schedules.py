"""Shapes of the learning rate over a run, each with the options that belong to it."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from app.schemas.base import StrictModel

Scheduler = Literal[
    "linear",
    "cosine",
    "linear_warmup_cosine",
    "cosine_with_restarts",
    "one_cycle",
    "polynomial",
    "inverse_sqrt",
    "constant",
]
SCHEDULERS: tuple[Scheduler, ...] = get_args(Scheduler)

UNWARMED_TIMESCALE = 10_000
"""Steps that inverse_sqrt takes for its timescale when there is no warm-up, as in transformers."""

_OPTIONS: dict[Scheduler, dict[str, int | float | str | bool | None]] = {
    "linear": {},
    "cosine": {"min_lr_ratio": 0.0},
    "linear_warmup_cosine": {"min_lr_ratio": 0.0},
    # T_0 depends on the length of the run.
    "cosine_with_restarts": {"T_0": None, "T_mult": 1, "min_lr_ratio": 0.0},
    "one_cycle": {
        "pct_start": 0.3,
        "anneal_strategy": "cos",
        "div_factor": 25.0,
        "final_div_factor": 1e4,
        "three_phase": False,
        "cycle_momentum": True,
        "base_momentum": 0.85,
        "max_momentum": 0.95,
    },
    "polynomial": {"power": 1.0, "min_lr_ratio": 0.0},
    # null: warmup_steps, or 10,000 without warm-up.
    "inverse_sqrt": {"timescale": None},
    "constant": {},
}
"""The options of each schedule with their defaults, those of torch and transformers."""


class SchedulerOptions(StrictModel):
    """Options of lr_scheduler_type; what is left out takes its default, what belongs to another schedule is refused."""

    T_0: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """cosine_with_restarts: optimizer steps of the first cycle; default: as many as make three cycles."""
    T_mult: Annotated[int, Field(ge=1, le=100)] | None = None
    """cosine_with_restarts: each cycle is this many times as long as the one before; default 1."""
    min_lr_ratio: Annotated[float, Field(ge=0, lt=1)] | None = None
    """cosine, cosine_with_restarts, polynomial: lowest learning rate, as a share of the peak; default 0."""
    power: Annotated[float, Field(gt=0, le=100)] | None = None
    """polynomial: its exponent; default 1."""
    timescale: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """inverse_sqrt: steps after which the rate has fallen by the square root of 2; default warmup_steps, or 10,000."""
    pct_start: Annotated[float, Field(ge=0, le=1)] | None = None
    """one_cycle: share of the steps in which the rate rises; default 0.3."""
    anneal_strategy: Literal["cos", "linear"] | None = None
    """one_cycle: along which line the rate moves; default cos."""
    div_factor: Annotated[float, Field(ge=1, le=1e9)] | None = None
    """one_cycle: the rate begins at the peak divided by this; default 25."""
    final_div_factor: Annotated[float, Field(ge=1, le=1e12)] | None = None
    """one_cycle: the rate ends at its beginning divided by this; default 10,000."""
    three_phase: bool | None = None
    """one_cycle: fall back to the beginning as slowly as it rose, then further down; default false."""
    cycle_momentum: bool | None = None
    """one_cycle: move adam_beta1 against the rate, between max_momentum and base_momentum; default true."""
    base_momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    """one_cycle: adam_beta1 at the peak of the rate; default 0.85."""
    max_momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    """one_cycle: adam_beta1 at the beginning and the end; default 0.95."""

    @model_validator(mode="after")
    def _rules_across_fields(self) -> Self:
        if self.three_phase and (self.pct_start or 0.0) > 0.5:
            raise ValueError("three_phase rises and falls for pct_start each, so pct_start must be at most 0.5")
        return self

    @model_serializer(mode="wrap")
    def _only_what_is_given(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None}

    def given(self) -> dict[str, int | float | str | bool]:
        """Give the options that were set."""
        return self.model_dump()

    def refuse_unsuited(self, kind: Scheduler) -> None:
        """Raise ValueError when an option belongs to another schedule than ``kind``."""
        known = _OPTIONS[kind]
        for name in self.given():
            if name not in known:
                owners = [other for other in SCHEDULERS if name in _OPTIONS[other]]
                takes = f"it takes {', '.join(known)}" if known else "it takes none"
                raise ValueError(
                    f"lr_scheduler_kwargs: {name} belongs to {' and '.join(owners)}, not to {kind}; {takes}"
                )

    def completed(self, kind: Scheduler) -> "SchedulerOptions":
        """Give the same with the defaults of ``kind`` filled in."""
        return SchedulerOptions.model_validate(_OPTIONS[kind] | self.given())
