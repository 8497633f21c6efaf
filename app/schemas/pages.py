"""Keyset pages: a list that stays right while rows are added."""

from typing import Generic, TypeVar

from app.schemas.base import Resource

Item = TypeVar("Item")


class Page(Resource, Generic[Item]):
    """Some items, newest first unless the endpoint says otherwise."""

    data: list[Item]
    """The items of this page."""
    has_more: bool
    """True: there is another page."""
    next_cursor: str | None = None
    """Pass it as ``cursor`` to get the next page."""
