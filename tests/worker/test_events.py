"""The protocol between a worker and its training process."""

import math

import pytest
from pydantic import ValidationError

from app.errors import JobFailure
from worker.events import (
    EXIT_BROKEN,
    EXIT_DIVERGED,
    EXIT_OUT_OF_MEMORY,
    EXIT_REFUSED,
    BundleReady,
    Failed,
    Stepped,
    Warned,
    exit_code,
    parse_event,
)


@pytest.mark.parametrize(
    "event",
    [
        Stepped(step=3, total_steps=9, epoch=0.5, loss=0.25, learning_rate=1e-5, values={"seconds": 0.1}),
        Warned(code="short-texts", detail="Zwölf Texte sind leer:\n\u2028", remedy=None),
        BundleReady(manifest_sha256="ab" * 32),
        Failed(error={"code": "x", "detail": "y", "extra": {"step": 3}}),
    ],
)
def test_an_event_survives_the_wire_as_one_line(event):
    line = event.model_dump_json().encode()
    assert b"\n" not in line
    assert parse_event(line) == event


def test_a_diverged_loss_survives_the_wire():
    line = Stepped(step=1, total_steps=2, epoch=0.1, loss=math.nan, learning_rate=math.inf).model_dump_json().encode()
    event = parse_event(line)
    assert isinstance(event, Stepped)
    assert math.isnan(event.loss)
    assert math.isinf(event.learning_rate)


@pytest.mark.parametrize("line", [b"", b"{}", b'{"type":"step"}', b'{"type":"phase","phase":"dancing"}', b"\xff\xfe"])
def test_what_is_no_event_is_refused(line):
    with pytest.raises(ValidationError):
        parse_event(line)


@pytest.mark.parametrize(
    ("code", "final", "expected"),
    [
        ("too-few-examples", True, EXIT_REFUSED),
        ("training-diverged", True, EXIT_DIVERGED),
        ("gpu-out-of-memory", True, EXIT_OUT_OF_MEMORY),
        ("training-crashed", False, EXIT_BROKEN),
    ],
)
def test_the_exit_code_says_what_to_do(code, final, expected):
    assert exit_code(JobFailure("detail", code, final=final)) == expected
