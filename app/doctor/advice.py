"""The changes a diagnosis can propose: always legal values, and only where they change something."""

import math

from app.doctor.facts import Facts
from app.doctor.wording import number
from app.schemas.diagnoses import Change, ChangeValue

LOWEST_LEARNING_RATE = 1e-6
USUAL_LEARNING_RATE = 2e-5
HIGH_LEARNING_RATE = 1e-4
"""Above this a pretrained encoder tends to forget what it knew."""
EXTREME_WEIGHTS = 10.0
"""A loss in which one class counts ten times another jumps with every rare row."""
MOST_EPOCHS = 1000


def lower_learning_rate(facts: Facts, divisor: float, why: str) -> list[Change]:
    """Divide the learning rate, but stay above the rate of a debugging run."""
    rate = facts.number("learning_rate")
    if rate is None or rate <= LOWEST_LEARNING_RATE:
        return []
    return change(facts, "learning_rate", rounded(max(rate / divisor, LOWEST_LEARNING_RATE)), why)


def raise_learning_rate(facts: Facts, factor: float, why: str) -> list[Change]:
    """Multiply the learning rate, up to what a pretrained encoder usually bears."""
    rate = facts.number("learning_rate")
    if rate is None or not 0 < rate < HIGH_LEARNING_RATE:
        return []
    return change(facts, "learning_rate", rounded(min(rate * factor, HIGH_LEARNING_RATE)), why)


def clip_gradients(facts: Facts, why: str) -> list[Change]:
    """Switch clipping on, or clip at 1 where the limit is higher."""
    if "max_grad_norm" not in facts.hyperparameters:
        return []
    limit = facts.number("max_grad_norm")
    return change(facts, "max_grad_norm", 1.0, why) if limit is None or limit > 1.0 else []


def warm_up(facts: Facts, share: float, why: str) -> list[Change]:
    """Warm up over ``share`` of all steps where the run warmed up over clearly less."""
    steps, total = facts.number("warmup_steps"), facts.total_steps
    if steps is None or not total or steps >= 0.8 * share * total:
        return []
    # The request may ask for fewer steps than it took: a run that was resumed, or one told to do it again for less.
    longest = min(total, facts.number("max_steps") or total) - 1
    longer = min(math.ceil(share * total), int(longest))
    return change(facts, "warmup_steps", longer, why) if longer > steps else []


def safer_precision(facts: Facts, why: str) -> list[Change]:
    """Leave half precision."""
    precision = facts.hyperparameters.get("precision")
    return change(facts, "precision", "fp32", why) if precision in ("fp16", "bf16") else []


def tame_class_weights(facts: Facts, why: str) -> list[Change]:
    """Bring extreme class weights back to the root of their ratios, which keeps their order."""
    weights = facts.hyperparameters.get("class_weights")
    if not isinstance(weights, dict) or not weights:
        return []
    numbers = {name: float(value) for name, value in weights.items() if _is_positive(value)}
    if len(numbers) < len(weights) or max(numbers.values()) < EXTREME_WEIGHTS * min(numbers.values()):
        return []
    return change(facts, "class_weights", {name: rounded(math.sqrt(value)) for name, value in numbers.items()}, why)


def more_dropout(facts: Facts, why: str) -> list[Change]:
    """Add 0.1 of dropout, up to 0.5."""
    dropout = facts.number("dropout")
    if dropout is None or not 0 <= dropout < 0.5:
        return []
    return change(facts, "dropout", rounded(min(dropout + 0.1, 0.5)), why)


def less_dropout(facts: Facts, why: str) -> list[Change]:
    """Halve the dropout where there is much."""
    dropout = facts.number("dropout")
    return change(facts, "dropout", rounded(dropout / 2), why) if dropout is not None and 0.2 <= dropout < 1 else []


def at_least(facts: Facts, field: str, value: float, why: str) -> list[Change]:
    """Raise a number to ``value`` where it is smaller."""
    now = facts.number(field)
    return change(facts, field, value, why) if now is not None and now < value else []


def at_most(facts: Facts, field: str, value: float, why: str) -> list[Change]:
    """Lower a number to ``value`` where it is greater."""
    now = facts.number(field)
    return change(facts, field, value, why) if now is not None and now > value else []


def epochs(facts: Facts, wanted: float, why: str) -> list[Change]:
    """Train for another number of epochs."""
    now = facts.number("num_train_epochs")
    if now is None or not 0 < now <= MOST_EPOCHS or not abs(wanted) < math.inf:
        return []
    return change(facts, "num_train_epochs", min(max(math.ceil(wanted), 1), MOST_EPOCHS), why)


def longer(facts: Facts, factor: float, why: str) -> list[Change]:
    """Train longer by whatever bounded the run: steps or epochs."""
    steps = facts.number("max_steps")
    if steps is not None and facts.stop_reason == "max_steps" and 1 <= steps < 1_000_000:
        return change(facts, "max_steps", math.ceil(steps * factor), why)
    now = facts.number("num_train_epochs")
    return epochs(facts, now * factor, why) if now is not None else []


def stop_early(facts: Facts, patience: int, why: str) -> list[Change]:
    """Switch early stopping on."""
    known = "early_stopping_patience" in facts.hyperparameters
    return change(facts, "early_stopping_patience", patience, why) if known and not _patience(facts) else []


def more_patience(facts: Facts, patience: int, why: str) -> list[Change]:
    """Wait longer before stopping, where early stopping is on."""
    return at_least(facts, "early_stopping_patience", patience, why) if _patience(facts) else []


def larger_batch(facts: Facts, why: str) -> list[Change]:
    """Double the effective batch without more memory."""
    steps = facts.number("gradient_accumulation_steps")
    if steps is None or not 1 <= steps <= 512:
        return []
    return change(facts, "gradient_accumulation_steps", int(steps) * 2, why)


def another_base_model(facts: Facts, words: str, why: str) -> list[Change]:
    """Propose a different pretrained model, in words."""
    return [Change(field="base_model", from_=facts.base_model, to=words, why=why)]


def dataset(words: str, why: str) -> list[Change]:
    """Propose something to do to the data, in words."""
    return [Change(field="dataset", from_=None, to=words, why=why)]


def change(facts: Facts, field: str, to: ChangeValue, why: str) -> list[Change]:
    """Propose a value for a hyperparameter, unless the run had it already."""
    now = facts.hyperparameters.get(field)
    if isinstance(now, dict):
        now = {str(name): float(value) for name, value in now.items() if _is_positive(value)}
    elif not isinstance(now, bool | int | float | str | None):
        return []
    return [Change(field=field, from_=now, to=to, why=why)] if now != to else []


def rounded(value: float) -> float:
    """Keep two significant digits: advice is no more exact than that."""
    return float(f"{value:.2g}")


def says(facts: Facts, field: str) -> str:
    """Say what a hyperparameter was, for a sentence: `` of 2e-5`` or nothing when it is not known."""
    value = facts.number(field)
    return f" of {number(value)}" if value is not None else ""


def _patience(facts: Facts) -> float | None:
    return facts.number("early_stopping_patience")


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
