"""The judge itself: a clean history is let off, and each kind of broken promise is found by its rule."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.checker import check
from tests.faults.field import Accepted
from tests.faults.history import History, JobHistory, Made, Move, Version
from tests.faults.recipes import Recipe

RECIPE = Recipe(steps=3, every=2)
WEIGHTS = hashlib.sha256(str(RECIPE.digests[-1]).encode()).hexdigest()


def clean() -> History:
    """Give the history of a job that crashed once, after two steps, and then succeeded."""
    moves = [
        Move(1, 0, None, "queued"),
        Move(2, 1, "queued", "running", actor="w"),
        Move(3, 1, "running", "queued"),
        Move(4, 2, "queued", "running"),
        Move(5, 2, "running", "succeeded"),
    ]
    job = JobHistory("j", "succeeded", 2, 1, moves, [0, 1, 1, 2, 2], versions=[Version("j", 2, WEIGHTS)])
    job.steps = [Made(1, 1, 1.0), Made(1, 2, 2.0), Made(2, 1, 5.0), Made(2, 2, 6.0), Made(2, 3, 7.0)]
    return History({"j": Accepted("j", RECIPE)}, {"j": job}, keys={RECIPE.seed: ["j"]})


def test_a_clean_history_breaks_nothing() -> None:
    assert check(clean()) == []


def _edit(**changes: object) -> Callable[[History], None]:
    def edit(history: History) -> None:
        history.jobs["j"] = replace(history.jobs["j"], **changes)

    return edit


FAULTS: dict[str, tuple[str, Callable[[History], None]]] = {
    "a job is lost": ("a", lambda history: history.jobs.clear()),
    "a job is stuck": ("a", _edit(status="running")),
    "a request became two jobs": ("a", lambda history: history.keys.update({RECIPE.seed: ["j", "k"]})),
    "a succeeded job has no version": ("b", _edit(versions=[])),
    "a job was published twice": ("b", _edit(versions=[Version("j", 1, WEIGHTS), Version("j", 2, WEIGHTS)])),
    "a failed job has a version": ("b", _edit(status="failed")),
    "a terminal state changed": ("c", _edit(moves=[*clean().jobs["j"].moves, Move(6, 2, "succeeded", "queued")])),
    "a transition is missing": ("c", _edit(moves=clean().jobs["j"].moves[:2] + clean().jobs["j"].moves[3:])),
    "an event is missing": ("c", _edit(gapless=False)),
    "an attempt was claimed twice": ("d", _edit(attempt=1)),
    "an old attempt wrote later": ("d", _edit(attempts=[0, 1, 2, 1])),
    "two attempts trained at once": (
        "d",
        lambda history: history.jobs["j"].steps.append(Made(1, 3, 6.5)),
    ),
    "weights differ": ("e", _edit(versions=[Version("j", 2, "0")])),
    "a file is damaged": ("f", _edit(versions=[Version("j", 2, WEIGHTS, "model.onnx")])),
    "a file is left over": ("f", lambda history: history.stray_files.append("models/j/1/model.onnx")),
    "what was saved was made again": ("g", _edit(saved={1: 2})),
    "an orderly end cost a step": ("g", _edit(crashes=0)),
    "a worker took what it is not for": ("i", lambda history: history.queues.update({"w": ["gpu"]})),
    "a process runs on": ("h", lambda history: history.left_running.append(1)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_broken_promise_is_found(fault: str) -> None:
    rule, break_it = FAULTS[fault]
    history = clean()
    break_it(history)
    assert rule in {violation.rule for violation in check(history)}


def test_a_woken_process_may_end_its_step() -> None:
    history = clean()
    history.jobs["j"].steps += [Made(1, 3, 5.5), Made(1, 4, 5.9)]
    assert {violation.rule for violation in check(history)} == {"d"}
    history.thawed = True
    assert "d" not in {violation.rule for violation in check(history)}
