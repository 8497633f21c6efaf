"""The text/event-stream format: lines in, messages out (WHATWG HTML, section 9.2)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# Not str.splitlines: it would also break at U+2028 and other characters that JSON may hold as they are.
_LINE_END = re.compile(r"\r\n|\n|\r(?!$)")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream."""

    event: str
    data: str
    id: str | None


def read_messages(chunks: Iterable[str]) -> Iterator[Message]:
    """Assemble messages from decoded text, however it is cut; comments and unfinished messages are dropped."""
    fields: dict[str, list[str]] = {}
    for line in _lines(chunks):
        if line == "":
            if "data" in fields:
                yield _message(fields)
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))


def _lines(chunks: Iterable[str]) -> Iterator[str]:
    rest = ""
    for chunk in chunks:
        *complete, rest = _LINE_END.split(rest + chunk)
        yield from complete


def _message(fields: dict[str, list[str]]) -> Message:
    identifier = fields.get("id")
    return Message(
        event=fields.get("event", ["message"])[-1],
        data="\n".join(fields["data"]),
        id=None if identifier is None else identifier[-1],
    )
