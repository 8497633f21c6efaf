"""The two pictures of a run, from the same events."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from app.cli.findings import in_full
from app.cli.live_view import picture
from app.cli.plain_view import PlainView
from app.cli.predict import predictions_table
from app.cli.progress import RunProgress
from app.schemas.diagnoses import Change, Diagnosis
from app.schemas.job_events import JobEvent
from app.schemas.jobs import BaseModelRef, Job
from app.schemas.predictions import Prediction, TaskPrediction
from tests.app.live_service import training_events


@pytest.fixture
def run() -> RunProgress:
    return RunProgress(Job.model_construct(model="mood", base_model=BaseModelRef(id="minilm-l6", source="package")))


def event(seq: int, kind: str, data: dict[str, Any], attempt: int = 1) -> JobEvent:
    return JobEvent(seq=seq, job_id="job_1", attempt=attempt, type=kind, at=datetime(2026, 1, 1, tzinfo=UTC), data=data)


def trained(attempt: int = 1) -> list[JobEvent]:
    made = [
        event(1, "status", {"from": "queued", "to": "running", "reason": "A worker has taken the job."}, attempt),
        event(2, "phase", {"phase": "training"}, attempt),
    ]
    return made + [
        event(seq, new.type, dict(new.data), attempt)
        for seq, new in enumerate(training_events([10, 20, 30], total=40), start=3)
    ]


def drawn(run: RunProgress) -> str:
    console = Console(file=StringIO(), width=100, force_terminal=False)
    console.print(picture(run))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_live_picture_shows_where_a_run_is_and_its_best_evaluation(run: RunProgress) -> None:
    for seen in trained():
        run.apply(seen)
    text = drawn(run)
    for part in ("training", "mood", "on cpu", "75 %", "step 30/40", "loss 0.0333", "lr 5.00e-05", "40 examples/s"):
        assert part in text
    rows = [line.split() for line in text.splitlines() if line.strip().startswith(("10", "20", "30"))]
    assert [row[:2] for row in rows] == [["10", "1.0"], ["20", "2.0"], ["30", "3.0"]]
    assert ["best" in row for row in rows] == [False, True, False]


def test_the_live_picture_has_the_curves_of_the_loss_and_of_the_score(run: RunProgress) -> None:
    for seen in trained()[:4]:
        run.apply(seen)
    assert "training loss" not in drawn(run), "one point is no curve"
    for seen in trained()[4:]:
        run.apply(seen)
    lines = drawn(run).splitlines()
    loss = lines.index("training loss")
    # From 1/10 at step 10 to 1/30 at step 30 of 40: the right quarter of the picture is still empty.
    assert (lines[loss + 1].split()[0], lines[loss + 4].split()[0]) == ("0.1", "0.0333")
    assert "validation f1_macro" in lines
    widths = [len(line.partition("│")[2].rstrip(chr(0x2800) + " ")) for line in lines[loss + 1 : loss + 5]]
    assert 0 < max(widths) <= 45


def test_both_views_say_why_training_ended_and_what_was_kept(run: RunProgress) -> None:
    stopped = event(20, "stopped", {"reason": "early_stopping", "step": 40, "best_step": 20})
    for seen in [*trained(), stopped]:
        run.apply(seen)
    words = "stopped early: no better score for a while; kept the checkpoint of step 20"
    assert words in drawn(run)
    assert "step 40/40" in drawn(run)
    assert words in next(PlainView(run).lines(stopped))


def test_a_job_that_waits_says_for_what(run: RunProgress) -> None:
    run.job.status, run.job.status_reason = "queued", "Waiting for a worker: none is connected."
    accepted = event(1, "status", {"from": None, "to": "queued", "reason": "The job was accepted."}, attempt=0)
    run.apply(accepted)
    assert "none is connected" in drawn(run)
    assert "none is connected" in next(PlainView(run).lines(accepted))


def test_the_live_picture_of_a_long_run_fits_an_ordinary_terminal(run: RunProgress) -> None:
    long = {"total_steps": 24_000, "num_train_epochs": 15, "eta_seconds": 3753.0, "epoch": 12.3, "step": 12_345}
    for seen in [*trained(), event(21, "step", trained()[5].data | long)]:
        run.apply(seen)
    console = Console(file=StringIO(), width=80, force_terminal=False)
    console.print(picture(run))
    assert "step 12345/24000  epoch 12.3/15  ETA 1:02:33" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_long_sentence_is_not_cut_off_on_a_narrow_terminal(run: RunProgress) -> None:
    evidence = (
        "Epoch 2: training loss 0.281, validation loss 0.259. Epoch 5: training loss 0.044, validation loss 0.657."
    )
    found = {"code": "overfitting", "severity": "warning", "title": "Overfitting", "evidence": evidence, "changes": []}
    run.apply(event(1, "diagnosis", found))
    # As the command line has it: lines are left to the terminal, which cannot wrap what is drawn live.
    console = Console(file=StringIO(), width=60, force_terminal=True, color_system=None, soft_wrap=True)
    with Live(picture(run), console=console, auto_refresh=False):
        pass
    drawn = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert evidence in drawn


def test_a_new_attempt_begins_a_new_list_of_evaluations(run: RunProgress) -> None:
    for seen in trained():
        run.apply(seen)
    run.apply(event(20, "status", {"from": "running", "to": "queued", "reason": "The worker went silent."}))
    assert "The worker went silent." in drawn(run)
    run.apply(event(21, "status", {"from": "queued", "to": "running", "reason": "Taken."}, 2))
    assert (run.attempt, run.evaluations, run.best) == (2, [], None)
    assert "attempt 2" in drawn(run)


def test_the_final_evaluations_are_no_rows_of_the_list(run: RunProgress) -> None:
    for seen in trained():
        run.apply(seen)
    run.apply(event(20, "phase", {"phase": "evaluating"}))
    run.apply(event(21, "evaluated", trained()[4].data | {"split": "test"}))
    assert len(run.evaluations) == 3


def test_an_event_of_a_kind_that_is_not_known_is_passed_over(run: RunProgress) -> None:
    run.apply(event(1, "confetti", {"amount": 3}))
    assert list(PlainView(run).lines(event(1, "confetti", {"amount": 3}))) == []


def test_markup_in_names_is_text(run: RunProgress) -> None:
    run.apply(event(1, "status", {"from": "queued", "to": "running", "reason": "[bold]no[/bold]"}))
    run.job.model = "[red]x"
    assert "[red]x" in drawn(run)
    assert "[bold]no[/bold]" in drawn(run)


def test_plain_lines_tell_steps_only_now_and_then(run: RunProgress) -> None:
    now = [0.0]
    view = PlainView(run, now=lambda: now[0])
    lines = []
    for seen in trained():
        run.apply(seen)
        now[0] += 6.0
        lines += view.lines(seen)
    assert [line.split("  ", 1)[1].split(" ")[0] for line in lines] == [
        *("running:", "training", "training", "validation", "validation", "validation")
    ]
    now[0] += 60.0
    assert "step 30/40" in next(view.lines(trained()[7]))
    run.apply(event(30, "phase", {"phase": "exporting"}))
    now[0] += 60.0
    assert list(view.lines(trained()[7])) == [], "the numbers of the last step are no news any more"


def test_advice_is_shown_once_it_is_given(run: RunProgress) -> None:
    changes = [{"field": "learning_rate", "from": 5e-5, "to": 2.5e-5, "why": "w"}]
    data = {
        "code": "oscillating",
        "severity": "warning",
        "title": "Unstable",
        "evidence": "Up, down.",
        "changes": changes,
    }
    seen = event(1, "diagnosis", data)
    run.apply(seen)
    line = "advice: Unstable. Up, down. Try learning_rate 2.5e-05."
    assert line in drawn(run)
    assert [said.split("  ", 1)[1] for said in PlainView(run).lines(seen)] == [line]


def test_a_diagnosis_in_full_has_every_change_and_no_markup_of_its_own() -> None:
    diagnosis = Diagnosis(
        code="imbalanced",
        severity="critical",
        title="Never [red]b[/]",
        evidence="e",
        observations=[],
        cause="c",
        changes=[
            Change(field="class_weights", from_="none", to={"a": 0.5, "b": 2.0}, why="w"),
            Change(field="dataset", from_=None, to="add rows of b", why="more is better"),
        ],
    )
    console = Console(file=StringIO(), width=100)
    for line in in_full(diagnosis):
        console.print(line)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "critical Never [red]b[/]" in text
    assert "try class_weights a 0.5, b 2 (was none): w" in text
    assert "try dataset: add rows of b: more is better" in text


def test_answers_of_further_tasks_stand_below_the_main_one() -> None:
    mood = TaskPrediction(label="glad", score=0.875, scores={"glad": 0.875, "sad": 0.125})
    both = Prediction(label="ham", score=0.75, tasks={"mood": mood}, tokens=3, truncated=False)
    page = Console(file=StringIO(), width=60)
    page.print(predictions_table(["Hello there"], [both]))
    drawn = [line.split() for line in page.file.getvalue().splitlines() if line.strip()]
    assert drawn[-3:] == [["ham", "0.750", "Hello", "there"], ["mood:", "glad", "0.875"], ["mood:", "sad", "0.125"]]
