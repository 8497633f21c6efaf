"""Asks whether the broker answers, for the health page only: nothing else waits for it."""

from contextlib import closing

from app.settings import Settings

TIMEOUT_SECONDS = 0.5


def answers(settings: Settings) -> bool:
    """Say whether the broker answers a ping within half a second; never raises."""
    from app.queue.line import Line  # here, because a process that only predicts never needs the broker's libraries

    try:
        with closing(Line(settings, timeout_seconds=TIMEOUT_SECONDS)) as line:
            return line.answers()
    except Exception:  # noqa: BLE001 - client libraries raise dozens of classes, and all of them mean no
        return False
