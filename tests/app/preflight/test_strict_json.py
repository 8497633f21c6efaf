"""JSON bodies: what is refused, with which code, and how fast."""

import time

import pytest

from app.errors import AppError
from app.preflight.strict_json import parse, pointer


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b'{"lr": NaN}', 400, "malformed-json"),
        (b'{"lr": -Infinity}', 400, "malformed-json"),
        (b'{"a": 1, "a": 2}', 400, "malformed-json"),
        (b'{"a": {"b": 1, "b": 2}}', 400, "malformed-json"),
        (b"{", 400, "malformed-json"),
        (b'{"a": 1} x', 400, "malformed-json"),
        (b'"\xff"', 400, "malformed-json"),
        (b'{"a": "\n"}', 400, "malformed-json"),
        (b"1" * 5000, 400, "malformed-json"),
        (b'{"name": "a\\u0000b"}', 422, "invalid-text"),
        (b'{"\\u0000": 1}', 422, "invalid-text"),
        (b'["\\ud800"]', 422, "invalid-text"),
        (b'{"a": ["\\udfff\\ud800"]}', 422, "invalid-text"),
    ],
)
def test_refuses(data: bytes, status: int, code: str) -> None:
    with pytest.raises(AppError) as caught:
        parse(data)
    assert (caught.value.status, caught.value.code) == (status, code)


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000])
def test_refuses_bottomless_nesting_at_once(data: bytes) -> None:
    started = time.process_time()
    with pytest.raises(AppError) as caught:
        parse(data)
    assert caught.value.code == "malformed-json"
    assert time.process_time() - started < 0.5


def test_keeps_every_other_character() -> None:
    assert parse(b'"\\ud83d\\ude00 \xf0\x9f\x98\x80 \\u0007 \\u202e"') == "😀 😀 \x07 \u202e"


def test_tells_where_a_bad_text_is() -> None:
    with pytest.raises(AppError) as caught:
        parse(b'{"rows": [{"a/b": "fine"}, {"a/b": "\\u0000"}]}')
    assert caught.value.errors[0].pointer == "/rows/1/a~1b"


def test_pointer_escapes_and_cuts() -> None:
    assert pointer(("a/b", 0, "c~d")) == "/a~1b/0/c~0d"
    assert len(pointer(("x" * 1000,))) == 101
