"""How reports are rendered: every value escaped, an undefined name an error, numbers worded alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.reports import wording

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def environment(finalize: Callable[[object], Markup] | None = None) -> Environment:
    """Make what renders the templates; ``finalize`` escapes for another language than HTML."""
    # Here and not above: it takes 4 MB that a process which only predicts never needs.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("app.reports"),
        autoescape=True,
        finalize=finalize,
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
    made.filters |= {function.__name__: function for function in filters}
    return made
