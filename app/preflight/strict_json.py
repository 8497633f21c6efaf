"""JSON read the strict way: no NaN or Infinity, no duplicate keys, no NUL or lone surrogates, no bottomless nesting."""

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from app.errors import AppError, FieldError, MalformedRequest, Unprocessable

_UNSAFE = frozenset({"\x00", *map(chr, range(0xD800, 0xE000))})


def parse(data: bytes | str) -> Any:
    """Parse one JSON text.

    Raises MalformedRequest ``malformed-json`` for what is not JSON, Unprocessable ``invalid-text`` for text that
    cannot be stored.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        value = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise malformed(f"The body is not UTF-8: byte {error.start} cannot be decoded.") from None
    except json.JSONDecodeError as error:
        raise malformed(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise malformed("The body is nested too deeply.") from None
    except ValueError as error:  # our own refusals, and integers of more than 4,300 digits
        raise malformed(str(error) if isinstance(error, _Refused) else "A number has too many digits.") from None
    if "\\u" in text:
        check_text(value)
    return value


def malformed(detail: str) -> AppError:
    """Make the error for a body that is not JSON."""
    return MalformedRequest(detail, code="malformed-json", remedy="Send one JSON value as RFC 8259 describes it.")


def check_text(value: Any) -> None:
    """Refuse NUL and lone surrogates anywhere in a parsed value; escapes are the only way they get there."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, str) and not _UNSAFE.isdisjoint(item):
            raise Unprocessable(
                "A text holds a NUL character or half of a surrogate pair.",
                code="invalid-text",
                remedy="Remove the character; every other Unicode character is welcome.",
                errors=(FieldError(pointer(path), "invalid-text", "must not hold NUL or lone surrogates"),),
            )
        if isinstance(item, list):
            stack += [((*path, index), inner) for index, inner in enumerate(item)]
        elif isinstance(item, dict):
            stack += [(path, key) for key in item]
            stack += [((*path, key), inner) for key, inner in item.items() if _UNSAFE.isdisjoint(key)]


def pointer(path: Iterable[str | int]) -> str:
    """Write a path into a JSON value as an RFC 6901 pointer; very long keys are cut."""
    return "".join(f"/{str(part)[:100].replace('~', '~0').replace('/', '~1')}" for part in path)


class _Refused(ValueError):
    """A rule of ours that the JSON grammar does not have."""


def _constant(_name: str) -> NoReturn:
    raise _Refused("NaN and Infinity are not JSON numbers.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Refused("An object has the same key twice.")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, strict=True)
