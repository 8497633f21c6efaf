"""The text/event-stream format, cut in any place."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from app.event_stream import Message, read_messages

STREAM = (
    'retry: 2000\n\n: still here\n\nid: 1\nevent: status\ndata: {"a":\ndata: 1}\n\n'
    "id: 2\r\ndata:no space\r\n\r\ndata: \u2028 stays\n\nid: 3\ndata: unfinished\n"
)
MESSAGES = [
    Message("status", '{"a":\n1}', "1"),
    Message("message", "no space", "2"),
    Message("message", "\u2028 stays", None),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_messages_do_not_depend_on_how_the_text_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in itertools.pairwise(edges)]
    assert list(read_messages(chunks)) == MESSAGES


def test_an_old_line_end_alone_ends_a_line() -> None:
    assert list(read_messages(["data: a\rdata: b\r\rdata: c\n\n"])) == [
        Message("message", "a\nb", None),
        Message("message", "c", None),
    ]
