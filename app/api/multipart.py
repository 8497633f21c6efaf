"""Streams multipart/form-data straight to disk: one file part, a few short fields, nothing held in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import AppError, MalformedRequest

FILE_FIELD = "file"
_MOST_PARTS = 32
_MOST_HEADERS = 8
_LONGEST_HEADER = 2048
_LONGEST_FIELD = 256 * 1024


@dataclass
class _Part:
    headers: dict[str, str] = field(default_factory=dict)
    name: str | None = None
    value: bytearray = field(default_factory=bytearray)


class FormStream:
    """Feed it the body; the file part goes to ``write``, the other parts become ``fields``."""

    def __init__(self, content_type: str, write: Callable[[bytes], None]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise malformed("The Content-Type names no boundary.")
        self.fields: dict[str, str] = {}
        self.file_type: str | None = None
        """Media type of the file part; None until one was seen."""
        self._write = write
        self._parts = 0
        self._part = _Part()
        self._header: tuple[bytes, bytes] = (b"", b"")
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary, self._callbacks(), max_header_count=_MOST_HEADERS, max_header_size=_LONGEST_HEADER
            )
        except FormParserError:
            raise malformed("The boundary is too long.") from None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; raises MalformedRequest ``malformed-multipart``."""
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise malformed("The body does not follow its boundary.") from None

    def end(self) -> None:
        """Say that the body has ended; raises MalformedRequest when it is incomplete or has no file."""
        if not self._ended:
            raise malformed("The body ends in the middle of a part.")
        if self.file_type is None:
            raise malformed(f"There is no part named {FILE_FIELD}.")

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._finish,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_end": self._end_of_body,
        }

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise malformed(f"There are more than {_MOST_PARTS} parts.")
        self._part = _Part()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0] + data[start:end], self._header[1])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0], self._header[1] + data[start:end])

    def _header_end(self) -> None:
        name, value = self._header
        self._part.headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._header = (b"", b"")

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._part.headers.get("content-disposition", ""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not name:
            raise malformed("A part has no name.")
        self._part.name = name
        if name == FILE_FIELD:
            if self.file_type is not None:
                raise malformed(f"There are two parts named {FILE_FIELD}.")
            self.file_type = self._part.headers.get("content-type", "").split(";", 1)[0].strip().lower()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.name == FILE_FIELD:
            self._write(data[start:end])
            return
        self._part.value += data[start:end]
        if len(self._part.value) > _LONGEST_FIELD:
            raise malformed(
                f"A field is longer than {_LONGEST_FIELD} bytes; the data belongs in the part {FILE_FIELD}."
            )

    def _finish(self) -> None:
        name = self._part.name
        if name is None or name == FILE_FIELD:
            return
        if name in self.fields:
            raise malformed("A field comes twice.")
        try:
            self.fields[name] = self._part.value.decode("utf-8")
        except UnicodeDecodeError:
            raise malformed("A field is not UTF-8.") from None

    def _end_of_body(self) -> None:
        self._ended = True


def malformed(detail: str) -> AppError:
    """Make the error for a form that cannot be read."""
    return MalformedRequest(
        detail,
        code="malformed-multipart",
        remedy="Send it with: curl -F file=@data.csv -F text_column=text URL/datasets",
    )
