"""How numbers are said in a diagnosis."""

from app.doctor.history import Point


def number(value: float) -> str:
    """Write a number with three significant digits, without padding."""
    text = f"{value:.3g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{int(exponent)}" if exponent.lstrip("+-").isdigit() else text


def percent(share: float) -> str:
    """Write a share of 1 as a percentage, with a digit more where it is small."""
    return f"{share:.1%}".replace("%", " %") if abs(share) < 0.1 else f"{share:.0%}".replace("%", " %")


def at(point: Point) -> str:
    """Write a value with its step."""
    return f"{number(point.value)} at step {point.step}"


def when(point: Point) -> str:
    """Name the place of a point in the run."""
    return f"epoch {number(point.epoch)} (step {point.step})"
