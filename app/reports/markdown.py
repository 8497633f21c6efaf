"""A report as Markdown, for a repository, a wiki or a terminal."""

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from app.reports import wording
from app.schemas.reports import Report

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
    """Make what renders Markdown templates: every value is escaped, undefined names are errors."""
    environment = Environment(
        loader=PackageLoader("app.reports"),
        autoescape=True,
        finalize=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = (
        wording.score,
        wording.percent,
        wording.count,
        wording.number,
        wording.duration,
        wording.setting,
        wording.size,
    )
    environment.filters |= {function.__name__: function for function in filters}
    return environment
