"""Excerpts: the beginning of a text, fit for print."""

EXCERPT = 300
"""Characters of a text that a report shows."""
JOINERS = "\u200c\u200d"
"""They hold Indic letters and emoji together, though Python does not count them as printable."""


def excerpt(text: str) -> str:
    """Give the beginning of a text; surrogates, control characters and marks of direction become spaces."""
    shown = "".join(char if char.isprintable() or char in JOINERS else " " for char in text[: EXCERPT + 1])
    return shown if len(shown) <= EXCERPT else shown[: EXCERPT - 1].rstrip() + "…"
