"""Which texts of a step are whose, where several processes make it together."""

from collections.abc import Sequence

from worker.training.source import Rows


def share(window: Sequence[Rows], rank: int, size: int) -> list[Rows]:
    """Give one of ``size`` processes its rows of a window, batch by batch; perhaps none of a very short one.

    Whole batches are dealt as long as there is one for everybody, since few large passes cost less than many small
    ones. Of each that is left everybody takes every ``size``-th row: the rows of a batch lie side by side by length, so
    that nobody has all the long ones.
    """
    whole = len(window) - len(window) % size
    dealt = window[rank:whole:size]
    split = [rows[rank::size] for rows in window[whole:]]
    return [rows for rows in (*dealt, *split) if len(rows)]
