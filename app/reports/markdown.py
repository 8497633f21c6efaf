"""A report as Markdown, for a repository, a wiki or a terminal."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from app.reports import templates
from app.schemas.reports import Report

if TYPE_CHECKING:
    from jinja2 import Environment

_LIST_MARK = re.compile(r"^(\d*)([-+.)](?=\s|$)|[-=](?=[-=\s]*$))")
"""What would begin a list, or underline a heading, at the beginning of a line."""
_ACTIVE = {ord(char): "\\" + char for char in "\\`*_[]{}|#~$!"}
_ENTITIES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_BREAKS = {ord(char): " " for char in "\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029"}


def as_markdown(report: Report) -> str:
    """Render the report; nothing in it can act as Markdown or HTML."""
    return environment().get_template("report.md.j2").render(report=report)


def escaped(value: object) -> Markup:
    """Make a value mean only itself, on one line; what a template wrote itself is left alone."""
    if isinstance(value, Markup):
        return value
    text = str(value).translate(_BREAKS).strip().translate(_ACTIVE | _ENTITIES)
    return Markup(_LIST_MARK.sub(r"\1\\\2", text))  # noqa: S704 - escaped above, for Markdown and HTML alike


@cache
def environment() -> Environment:
    """Make what renders Markdown templates."""
    return templates.environment(escaped)
