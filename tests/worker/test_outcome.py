"""What each end of a training process means for its job."""

import signal

import pytest

from worker.outcome import Farewell, judge, memory_kills, signal_name

REFUSED = {"code": "too-few-examples", "detail": "d", "category": "data", "remedy": None, "phase": "preparing"}


@pytest.mark.parametrize(
    ("end", "ending", "code"),
    [
        (Farewell(0, manifest_sha256="ab"), "bundle", None),
        (Farewell(0), "crashed", "training-crashed"),
        (Farewell(64, error=REFUSED), "failed", "too-few-examples"),
        (Farewell(65, error={"code": "training-diverged"}), "failed", "training-diverged"),
        (Farewell(66), "failed", "gpu-out-of-memory"),
        (Farewell(70, error={"code": "training-crashed"}), "crashed", "training-crashed"),
        (Farewell(75), "stopped", None),
        (Farewell(1), "crashed", "training-crashed"),
        (Farewell(-signal.SIGSEGV), "crashed", "training-crashed"),
        (Farewell(-signal.SIGKILL), "crashed", "worker-killed"),
        (Farewell(-signal.SIGKILL, memory_killer_came=True), "crashed", "out-of-memory"),
        (Farewell(-signal.SIGKILL, "stalled"), "crashed", "stalled"),
        (Farewell(-signal.SIGKILL, "budget"), "stopped", None),
        (Farewell(-signal.SIGKILL, "budget", began_used_up=True), "crashed", "budget-overrun"),
        (Farewell(75, "cancel"), "stopped", None),
        (Farewell(-signal.SIGKILL, "cancel"), "stopped", None),
        (Farewell(64, "cancel", error=REFUSED), "stopped", None),
        (Farewell(-signal.SIGKILL, "drain"), "stopped", None),
        (Farewell(64, "drain", error=REFUSED), "failed", "too-few-examples"),
        (Farewell(-signal.SIGKILL, "lost"), "lost", None),
        # Lost means lost: even a bundle that was ready is not ours to publish.
        (Farewell(0, "lost", manifest_sha256="ab"), "lost", None),
        # A bundle that was ready before the signal arrived is handed on; a cancel is heard again when publishing.
        (Farewell(0, "drain", manifest_sha256="ab"), "bundle", None),
        (Farewell(0, "cancel", manifest_sha256="ab"), "bundle", None),
    ],
)
def test_every_end_has_a_meaning(end, ending, code):
    outcome = judge(end)
    assert outcome.ending == ending
    assert (outcome.error or {}).get("code") == code


def test_a_signal_is_named_in_the_error():
    outcome = judge(Farewell(-signal.SIGSEGV, phase="training"))
    assert "SIGSEGV" in outcome.error["detail"]
    assert outcome.error["phase"] == "training"
    assert outcome.error["remedy"]


def test_unknown_signals_have_a_name_too():
    assert signal_name(99) == "signal 99"


def test_memory_kills_can_be_counted():
    assert memory_kills() >= 0
