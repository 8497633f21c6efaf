"""The headers of a request are found as any server finds them."""

from app.api.headers import headers_of


def test_of_several_with_one_name_the_first_counts() -> None:
    headers = headers_of({"headers": [(b"host", b"a"), (b"accept", b"x"), (b"host", b"b")]})
    assert headers == {b"host": b"a", b"accept": b"x"}


def test_they_are_sorted_once() -> None:
    scope = {"headers": [(b"host", b"a")]}
    assert headers_of(scope) is headers_of(scope)
