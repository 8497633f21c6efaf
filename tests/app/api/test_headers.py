"""The headers of a request are found as any server finds them."""

from app.api.headers import headers_of


def test_of_several_with_one_name_the_first_counts() -> None:
    headers = headers_of({"headers": [(b"host", b"a"), (b"accept", b"x"), (b"host", b"b")]})
    assert headers.get(b"host") == "a"
    assert headers.all(b"host") == ["a", "b"]


def test_what_was_not_sent_is_none() -> None:
    headers = headers_of({"headers": [(b"host", b"a")]})
    assert headers.get(b"origin") is None
    assert headers.all(b"origin") == []


def test_any_byte_is_a_character() -> None:
    assert headers_of({"headers": [(b"x-name", b"\xe9\xff")]}).get(b"x-name") == "éÿ"


def test_they_are_sorted_once() -> None:
    scope = {"headers": [(b"host", b"a")]}
    assert headers_of(scope) is headers_of(scope)
