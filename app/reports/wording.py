"""How numbers are written in a report."""

from collections.abc import Mapping


def score(value: float | None) -> str:
    """Write a score with three decimals."""
    return "–" if value is None else f"{value:.3f}"


def percent(share: float | None) -> str:
    """Write a share as a percentage with one decimal."""
    return "–" if share is None else f"{share * 100:.1f} %"


def count(value: int | None) -> str:
    """Write a whole number with thousands apart."""
    return "–" if value is None else f"{value:,}"


def number(value: float | None) -> str:
    """Write any number in four significant digits, and powers of ten as people do."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return str(value)
    text = f"{value:.4g}"
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else text


def duration(seconds: float | None) -> str:
    """Write a length of time in its two largest units."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours / 24:.1f} days"


def size(value: int | None) -> str:
    """Write a number of bytes."""
    if value is None:
        return "–"
    return f"{value / 2**20:.1f} MiB" if value >= 2**20 else f"{value / 2**10:.1f} KiB"


def setting(value: object) -> str:
    """Write the value of a hyperparameter."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        given = {name: each for name, each in value.items() if each is not None and each != {}}
        return ", ".join(f"{name}: {_inner(each)}" for name, each in given.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(setting, value)) or "none"
    return str(value)


def _inner(value: object) -> str:
    return f"[{setting(value)}]" if isinstance(value, Mapping | list | tuple) else setting(value)
