"""Fills a request up with the defaults of its profile; whatever the client has written stays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.preflight.estimate import estimate
from app.preflight.families import needs_base_model
from app.schemas.datasets import DatasetProfile
from app.schemas.families import FamilyOptions, HierarchicalOptions, TextCNNOptions
from app.schemas.hyperparameters import Hyperparameters, Resolution
from app.schemas.jobs import JobWarning, TrainJobRequest
from app.schemas.profiles import PROFILES

_TOGETHER = (
    frozenset({"warmup_steps", "warmup_ratio"}),
    frozenset({"eval_strategy", "eval_steps"}),
    frozenset({"save_strategy", "save_steps"}),
)
"""Who writes one of these has decided all of them."""
_IN_STEPS = ("warmup_steps", "eval_strategy", "eval_steps")
_OF_PRETRAINED = ("learning_rate", "head_learning_rate_multiplier", "dropout", "gradient_checkpointing")
"""What suits a pretrained encoder alone; a network that is trained from scratch would not learn with it."""
WARMUP_RATIO = 0.1
_PLAIN = Hyperparameters()
"""The defaults of every job."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A request with the defaults of its profile written out."""

    request: TrainJobRequest
    resolutions: list[Resolution]
    """What came from the profile."""
    warnings: list[JobWarning]


def fill(request: TrainJobRequest, data: DatasetProfile) -> Filled:
    """Write the defaults of the request's profile out.

    Numbers of steps that do not fit into the run, because the dataset is small, are replaced by shares of it.
    """
    if request.profile is None:
        return Filled(request, [], [])
    profile = PROFILES[request.profile]
    wishes = request.hyperparameters
    given = _decided(wishes, request.family)
    defaults = {name: value for name, value in profile.hyperparameters.items() if name not in given}
    own = _own_to(request, defaults)
    changes: dict[str, Any] = {}
    if profile.family is not None and "family" not in request.model_fields_set:
        changes["family"] = profile.family
    total = _total_steps(wishes, defaults, data, changes.get("family", request.family))
    taken, warnings = _fitted(defaults, total)
    changes["hyperparameters"] = _merged(wishes, taken)
    if "base_model" not in request.model_fields_set and needs_base_model(request):
        changes["base_model"] = profile.base_model
    text = {name: value for name, value in profile.text.items() if name not in request.text.model_fields_set}
    if text:
        changes["text"] = request.text.model_copy(update=text)
    why = f"profile {request.profile}"
    named = ({"base_model": profile.base_model} if "base_model" in changes else {}) | taken
    named |= {f"text.{name}": value for name, value in text.items()}
    if "family" in changes:
        named["family"] = changes["family"].type
    resolutions = [Resolution(field=name, value=_shown(value), reason=why) for name, value in named.items()]
    return Filled(request.model_copy(update=changes), resolutions, [*own, *warnings])


def _own_to(request: TrainJobRequest, defaults: dict[str, Any]) -> list[JobWarning]:
    """Take out of the defaults of a profile what is for another kind of network, and say so."""
    if request.family.type != "textcnn":
        return []
    dropped = [name for name in _OF_PRETRAINED if defaults.pop(name, None) is not None]
    if not dropped:
        return []
    detail = f"The profile is made for pretrained encoders: a textcnn has its own {', '.join(dropped)}."
    return [JobWarning(code="profile-adapted", detail=detail)]


def _decided(wishes: Hyperparameters, family: FamilyOptions) -> frozenset[str]:
    given = frozenset(wishes.model_fields_set)
    if isinstance(family, HierarchicalOptions) and family.chunk_length != "auto":  # says the same
        given |= {"max_length"}
    if isinstance(family, HierarchicalOptions | TextCNNOptions) and "dropout" in family.model_fields_set:
        given |= {"dropout"}
    if wishes.lr_scheduler_type == "one_cycle":  # warms up by itself
        given |= {"warmup_steps"}
    return given.union(*(group for group in _TOGETHER if group & given))


def _total_steps(
    wishes: Hyperparameters, defaults: Mapping[str, Any], data: DatasetProfile, family: FamilyOptions
) -> int:
    without_steps = {name: value for name, value in defaults.items() if name not in _IN_STEPS}
    train, validation = data.splits["train"].groups(), data.splits["validation"].total
    in_chunks = isinstance(family, HierarchicalOptions)
    sized = _merged(wishes, without_steps)
    return estimate(sized, train_rows=train, validation_rows=validation, in_chunks=in_chunks).total_steps


def _fitted(defaults: Mapping[str, Any], total: int) -> tuple[dict[str, Any], list[JobWarning]]:
    taken, changed = dict(defaults), []
    if taken.get("warmup_steps", 0) > total // 2:
        changed.append(f"warmup_ratio {WARMUP_RATIO} instead of {taken.pop('warmup_steps')} warm-up steps")
        taken["warmup_ratio"] = WARMUP_RATIO
    if taken.get("eval_steps", 0) > total // 2:
        changed.append(f"an evaluation after each epoch instead of every {taken.pop('eval_steps')} steps")
        taken["eval_strategy"] = "epoch"
    if taken.get("save_steps", 0) > total // 2:
        changed.append(f"saves as often as the service is set to instead of every {taken.pop('save_steps')} steps")
        taken["save_strategy"] = _PLAIN.save_strategy
    if taken.get("logging_steps", 0) > max(total // 10, _PLAIN.logging_steps):
        often = _PLAIN.logging_steps
        changed.append(f"points of the curves every {often} steps instead of every {taken.pop('logging_steps')}")
    if not changed:
        return taken, []
    detail = f"The run has only {total} optimizer steps, so the profile was adapted: {', and '.join(changed)}."
    return taken, [JobWarning(code="profile-adapted", detail=detail)]


def _merged(wishes: Hyperparameters, defaults: Mapping[str, Any]) -> Hyperparameters:
    return Hyperparameters.model_validate({**defaults, **wishes.model_dump(exclude_unset=True)})


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return value
