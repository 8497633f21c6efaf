"""The log of a job, for people: its events and its training curves as lines, in the order in which they came."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from app.store import tables

_SHOWN_OF_STEPS = "train/"


class _Line(NamedTuple):
    at: datetime
    order: int
    text: str


def lines(events: Iterable[tables.JobEvent], points: Iterable[tables.MetricPoint]) -> list[str]:
    """Write the log; every line has a time in UTC, the attempt, a level and a sentence."""
    written = [*_of_events(events), *_of_steps(points)]
    return [line.text for line in sorted(written, key=lambda line: (line.at, line.order))]


def _of_events(events: Iterable[tables.JobEvent]) -> Iterator[_Line]:
    for event in events:
        if event.type != "step":  # the curves have every logged step, events only some
            level, sentence = _told(event.type, event.data)
            # Whatever came with the same report as an event had come before it.
            yield _line(event.at, 1, event.attempt, level, sentence)


def _of_steps(points: Iterable[tables.MetricPoint]) -> Iterator[_Line]:
    steps: dict[tuple[int, int], list[tables.MetricPoint]] = {}
    for point in points:
        if point.name.startswith(_SHOWN_OF_STEPS):
            steps.setdefault((point.attempt, point.step), []).append(point)
    for (attempt, step), values in sorted(steps.items(), key=lambda item: item[0]):
        shown = "  ".join(f"{value.name.removeprefix(_SHOWN_OF_STEPS)} {value.value:.6g}" for value in values)
        yield _line(values[0].at, 0, attempt, "INFO", f"step {step}, epoch {values[0].epoch:.2f}: {shown}")


def _line(at: datetime, order: int, attempt: int, level: str, sentence: str) -> _Line:
    moment = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    text = " ".join(sentence.split())
    return _Line(
        moment, order, f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z {attempt} {level} {text}"
    )


def _told(kind: str, data: Mapping[str, Any]) -> tuple[str, str]:
    match kind:
        case "status":
            level = "ERROR" if data.get("to") == "failed" else "INFO"
            return level, f"{data.get('from') or 'new'} -> {data.get('to')}: {data.get('reason') or ''}"
        case "phase":
            return "INFO", f"phase {data.get('phase')}"
        case "resolved":
            return "INFO", _resolved(data)
        case "evaluated":
            return "INFO", _evaluated(data)
        case "stopped":
            reason, step, best = data.get("reason"), data.get("step"), data.get("best_step")
            return "INFO", f"training ended at step {step}: {reason}; the best checkpoint is of step {best}"
        case "warning":
            return "WARNING", f"{data.get('code')}: {data.get('detail')} {data.get('remedy') or ''}"
        case _:
            return "INFO", f"{kind} {_pairs(data)}"


def _resolved(data: Mapping[str, Any]) -> str:
    chosen: Sequence[Mapping[str, Any]] = data.get("resolutions") or []
    decided = "".join(f"; {item.get('field')} is {item.get('value')}: {item.get('reason')}" for item in chosen)
    return f"{data.get('total_steps')} steps on {data.get('device')}{decided}"


def _evaluated(data: Mapping[str, Any]) -> str:
    scores = "  ".join(f"{name} {value:.4f}" for name, value in (data.get("metrics") or {}).items())
    best = ", best so far" if data.get("improved") else ""
    return f"{data.get('split')} at step {data.get('step')}, epoch {data.get('epoch')}{best}: {scores}"


def _pairs(data: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in data.items() if not isinstance(value, dict | list))
