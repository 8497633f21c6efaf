"""Plots as pixels: of the right size, with their words, whatever fonts the machine has."""

import re
import struct

import pytest

from app.reports import png
from app.reports.figures import plot, size_of
from app.reports.png import MOST_PIXELS, ZOOM, as_png
from app.schemas.reports import Report


def pixels(picture: bytes) -> tuple[int, int]:
    """Read width and height from the header of a PNG file."""
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@pytest.mark.parametrize("name", ["loss", "confusion_matrix"])
def test_a_plot_has_two_pixels_a_unit(report: Report, name: str) -> None:
    svg = plot(report, name)
    assert svg is not None
    width, height = size_of(svg)
    assert pixels(as_png(svg)) == (width * ZOOM, height * ZOOM)


def test_words_are_drawn_with_the_font_of_the_package_alone(report: Report) -> None:
    """Latin, Greek and Cyrillic leave the fonts of the machine unread, and every letter leaves its mark."""
    svg = plot(report, "loss")
    assert svg is not None
    assert png._ELSEWHERE.search(svg) is None
    without_words = re.sub(r">[^<]*</text>", "></text>", svg)
    pictures = [
        as_png(each) for each in (svg, without_words, svg.replace("Loss", "Ошибка"), svg.replace("Loss", "Σφάλμα"))
    ]
    assert len(set(pictures)) == 4
    assert len(pictures[1]) < 0.7 * len(pictures[0])


@pytest.mark.parametrize("text", ["राम्रो", "好", "عربي", "😀"])
def test_other_scripts_ask_the_machine_and_break_nothing(report: Report, text: str) -> None:
    svg = plot(report, "loss")
    assert svg is not None
    other = svg.replace("Loss", text)
    assert png._ELSEWHERE.search(other) is not None
    assert pixels(as_png(other)) == pixels(as_png(svg))


def test_a_huge_drawing_is_made_smaller() -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4000 3000" width="4000" height="3000"></svg>'
    width, height = pixels(as_png(svg))
    assert width * height <= MOST_PIXELS + width + height
    assert width / height == pytest.approx(4 / 3, abs=0.01)
