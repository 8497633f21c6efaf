"""A drawing as pixels: the same picture for places that take no SVG, legible where no font is installed."""

import math
import re
from importlib.resources import as_file, files

from app.reports.figures import size_of

ZOOM = 2.0
"""Pixels for each unit of a drawing, as sharp screens and printers want it."""
MOST_PIXELS = 8_000_000
"""A large confusion matrix is drawn smaller instead: four bytes each are held at once."""
FAMILY = "Source Sans Pro"
_ELSEWHERE = re.compile(r"[^\u0000-\u058f\u1e00-\u22ff\ufb00-\ufb06\ufffd]")
"""What that font has no letters for: scripts beyond Latin, Greek and Cyrillic."""


def as_png(svg: str) -> bytes:
    """Draw one of our own drawings in its light colours.

    Letters that our font lacks are taken from the fonts of the machine; where that has none either,
    they are left out.
    """
    # Here and not above: most processes never draw.
    import resvg_py

    width, height = size_of(svg)
    with as_file(files("font_source_sans_pro").joinpath("files", "SourceSansPro-Regular.ttf")) as font:
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=svg,
                zoom=min(ZOOM, math.sqrt(MOST_PIXELS / (width * height))),
                font_files=[str(font)],
                font_family=FAMILY,
                sans_serif_family=FAMILY,
                skip_system_fonts=_ELSEWHERE.search(svg) is None,
            )
        )
