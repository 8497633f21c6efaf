"""The ways of training beyond the plain one, as the methods section of a paper states them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.reports.wording import number, percent, setting
from app.schemas.curriculum import CurriculumOptions
from app.schemas.hyperparameters import in_one_name
from app.schemas.jobs import Job

DIFFICULTIES = {
    "length": "length in tokens",
    "probe_loss": "the loss of a naive Bayes probe that never saw the row",
    "column": "the numbers that the dataset was uploaded with",
}


def ways(job: Job, *, several: bool, thresholds: Mapping[str, float] | None) -> Iterator[tuple[str, str]]:
    """Give name and text of each line; ``several``: rows have any number of labels. A text is empty where unused."""
    wishes = job.hyperparameters
    yield "Architecture", _architecture(job)
    yield "Loss", _loss(wishes, several=several)
    yield "Layers that learn", _learning_layers(wishes)
    yield "Layer-wise rates", _layerwise(wishes)
    for name, line in LINES.items():
        options = wishes.get(name)
        if name == "curriculum" and several and isinstance(options, Mapping):
            options = {**options, "by_label": False}  # rows with several labels are in no group
        yield name.capitalize(), line(options) if isinstance(options, Mapping) else ""
    yield "Decision thresholds", _thresholds(wishes, thresholds) if several else ""
    yield "Checkpoint selection", _selection(wishes)


def _architecture(job: Job) -> str:
    if job.base_model.source == "version" or job.family == "multitask":
        return ""  # that of the version, whatever the options say; several tasks have a line of their own
    options = job.family_options.model_dump(exclude={"type", "dropout"})
    return f"{job.family}: {setting(options)}" if options else ""


def _loss(wishes: Mapping[str, Any], *, several: bool) -> str:
    each = " of each label's sigmoid, the mean over all of them" if several else ""
    if wishes.get("loss") == "focal":
        gamma = wishes.get("focal_gamma")
        return f"focal loss (Lin et al., 2017){each}, gamma={setting(2.0 if gamma is None else gamma)}"
    if several:
        return f"binary cross-entropy{each}"
    return "cross-entropy" if wishes.get("loss") else ""


def _learning_layers(wishes: Mapping[str, Any]) -> str:
    if wishes.get("freeze_base") is True:
        return "the classification head alone; the base stays frozen"
    schedule = wishes.get("unfreeze_schedule")
    if not isinstance(schedule, Mapping) or not schedule:
        return ""
    stages = [(int(epoch), _reach(layers)) for epoch, layers in schedule.items()]
    first = [] if any(epoch == 0 for epoch, _ in stages) else [(0, "the head alone")]
    words = [f"from epoch {epoch} {reach}" for epoch, reach in [*first, *sorted(stages)]]
    return f"{', '.join(words)} (gradual unfreezing; epochs counted from 0)"


def _reach(layers: object) -> str:
    if layers == "all":
        return "all layers and the embeddings"
    if layers == 0:
        return "the head alone"
    return "the head and the top layer" if layers == 1 else f"the head and the top {setting(layers)} layers"


def _layerwise(wishes: Mapping[str, Any]) -> str:
    decay = wishes.get("layerwise_lr_decay")
    if not isinstance(decay, int | float) or decay == 1:
        return ""
    return f"each layer at {number(decay)} times the rate of the one above it"


def _curriculum(given: Mapping[str, Any]) -> str:
    options = CurriculumOptions.model_validate(given)
    of = "of each label's rows" if options.by_label else "of all rows"
    return (
        f"the easiest rows first, by {DIFFICULTIES[options.difficulty]}: {percent(options.initial_difficulty)} {of} in "
        f"the first epoch, growing evenly to {percent(options.final_difficulty)} over {options.num_epochs} epochs, or "
        "over the whole run if it is shorter (Bengio et al., 2009)"
    )


def _augmentation(options: Mapping[str, Any]) -> str:
    if options.get("enabled") is False:
        return ""
    techniques = setting([str(name).replace("_", " ") for name in options.get("techniques") or []])
    copies = options.get("augmentation_factor")
    share = options.get("probability")
    return (
        f"{setting(copies)} altered {'copy' if copies == 1 else 'copies'} of each training row, each by one of: "
        f"{techniques}; {percent(share) if isinstance(share, int | float) else '–'} of the words; language "
        f"{setting(options.get('language'))} (Wei and Zou, 2019)"
    )


def _distillation(options: Mapping[str, Any]) -> str:
    revision = f", revision {options['revision']}" if options.get("revision") else ""
    alpha, temperature = options.get("alpha"), options.get("temperature")
    if not isinstance(alpha, int | float):
        return ""
    names = options.get("labels") or {}
    renamed = f"; its labels: {setting(names)}" if names else ""
    return (
        f"teacher {options.get('teacher')}{revision}; {number(alpha)} of the loss is its answers at temperature "
        f"{setting(temperature)} (Kullback-Leibler, times the temperature squared), {number(1 - alpha)} the labels "
        f"(Hinton et al., 2015){renamed}"
    )


LINES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "curriculum": _curriculum,
    "augmentation": _augmentation,
    "distillation": _distillation,
}


def _thresholds(wishes: Mapping[str, Any], found: Mapping[str, float] | None) -> str:
    wish = wishes.get("thresholds")
    values = "" if found is None else f": {', '.join(f'{label} {value:.3f}' for label, value in found.items())}"
    if wish == "tuned":
        return f"for each label the one with the highest F1 on the validation split, after training{values}"
    if isinstance(wish, Mapping):
        return f"{setting(wish)}; 0.5 for labels that are not named"
    return setting(wish) if wish is not None else ""


def _selection(wishes: Mapping[str, Any]) -> str:
    metric, steps = wishes.get("metric_for_best_model"), wishes.get("eval_steps")
    if not metric:
        return ""
    name = in_one_name(metric) if isinstance(metric, dict) else str(metric)
    when = f"every {setting(steps)} steps" if wishes.get("eval_strategy") == "steps" else "after each epoch"
    return f"best {name} on the validation split, judged {when}"
