"""Every code that the source gives an error, with its status and its words, read from the calls that make errors."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app import errors
from app.errors import AppError, DatasetRefused, JobFailure, Unprocessable
from app.preflight.breaches import RULES
from app.preflight.fields import RANKED_CODES

ROOT = Path(__file__).resolve().parents[1]
KINDS: dict[str, type[AppError]] = {
    name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, AppError)
}
ELLIPSIS = "…"


@dataclass(frozen=True)
class Known:
    """One code as one place in the source makes it."""

    code: str
    kind: type[AppError]
    detail: str
    remedy: str


def known_codes() -> list[Known]:
    """Give every code once for each kind of error, by code; the longest words of several places."""
    best: dict[tuple[str, bool], Known] = {}
    for one in [*_in_source(), *_of_rules()]:
        key = (one.code, one.kind is JobFailure)
        if key not in best or len(one.detail) > len(best[key].detail):
            best[key] = one
    return sorted(best.values(), key=lambda one: one.code)


def _of_rules() -> Iterator[Known]:
    """Give the codes that are not written where an error is made."""
    for code in RANKED_CODES:
        yield Known(code, Unprocessable, "A part of the request breaks a rule; errors say which and where.", "")
    for rule in RULES.values():
        yield Known(rule.code, DatasetRefused, f"{ELLIPSIS} rows {rule.plural}.", rule.remedy)


def _in_source() -> Iterator[Known]:
    for folder in ("app", "worker"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                    yield from _made_by(node, KINDS[node.func.id])


def _made_by(call: ast.Call, kind: type[AppError]) -> Iterator[Known]:
    given = dict(zip(("detail", "code", "remedy"), call.args, strict=False))
    given |= {word.arg: word.value for word in call.keywords if word.arg}
    code = given.get("code")
    if isinstance(code, ast.Constant) and isinstance(code.value, str):
        yield Known(code.value, kind, _words(given.get("detail")), _words(given.get("remedy")))


def _words(node: ast.AST | None) -> str:
    """Read a text as far as it is written out; what is filled in is an ellipsis."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_words(part) for part in parts)
        case ast.BinOp(left=left, right=right):
            return _words(left) + _words(right)
        case ast.IfExp(body=body):
            return _words(body)
        case None | ast.Constant():
            return ""
    return ELLIPSIS
