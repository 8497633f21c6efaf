"""The report as data: what it says of a job, whatever is known of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.artifacts.bundle import Manifest
from app.reports.assembly import build_report
from app.reports.html import as_html
from app.reports.markdown import as_markdown
from app.schemas.jobs import Job, JobMetrics, Progress
from app.schemas.models import ExportVerdict
from app.schemas.reports import Report
from app.schemas.text import TokenizerSettings
from app.schemas.usage import Usage
from app.store.metrics import Point

Make = Callable[..., Any]


def test_a_succeeded_job_is_reported_in_full(report: Report) -> None:
    assert report.title == "content-rating:3"
    assert "roberta-base, fine-tuned on 3,920 rows with 3 labels." in report.summary
    assert "macro F1 is 0.705 and accuracy 76.5 %" in report.summary
    assert "always answering the commonest label reaches 60.2 %" in report.summary
    assert [section.evaluation.split for section in report.scores] == ["validation", "test"]
    assert [curve.name for curve in report.curves] == [
        "train/loss",
        "eval/loss",
        "eval/f1_macro",
        "eval/accuracy",
        "train/accuracy",
        "train/learning_rate",
    ]
    assert report.diagnoses == []  # early stopping kept the checkpoint of epoch 6


def test_the_same_run_without_early_stopping_is_diagnosed_and_the_summary_says_so(
    make_job: Make, make_profile: Make, points: list[Point]
) -> None:
    report = build_report(make_job(stop_reason="completed"), points, profile=make_profile())

    assert [diagnosis.code for diagnosis in report.diagnoses] == ["overfitting"]
    assert "To look at: Overfitting" in report.summary


def test_the_data_section_counts_labels_and_gives_the_baselines(report: Report) -> None:
    data = report.data

    assert [(each.label, each.counts["train"], each.share) for each in data.labels] == [
        ("general", 2352, 0.6),
        ("teen", 1058, pytest.approx(0.2699, abs=1e-4)),
        ("mature", 510, pytest.approx(0.1301, abs=1e-4)),
    ]
    assert data.random_baseline == pytest.approx(1 / 3)
    assert data.majority_baseline == 0.602
    assert data.imbalance == pytest.approx(2352 / 510)
    assert (data.median_length, data.duplicates) == (412, 12)


def test_without_a_profile_the_evaluations_tell_the_labels(make_job: Make) -> None:
    data = build_report(make_job(), []).data

    assert data.labels[0].counts == {"validation": 295, "test": 295}
    assert [each.share for each in data.labels] == [None, None, None]
    assert data.majority_baseline == pytest.approx(295 / 490)
    assert data.imbalance is None


def test_hyperparameters_carry_the_reason_of_their_resolution(report: Report) -> None:
    by_name = {each.name: each for each in report.hyperparameters}

    assert by_name["max_length"].reason == "99 % of the texts keep within 243."
    assert by_name["learning_rate"].reason is None
    assert by_name["class_weights"].value == {"general": 0.544, "teen": 1.21, "mature": 2.97}


def test_the_commonest_mistakes_come_first(report: Report) -> None:
    mistakes = report.scores[1].confusions
    assert [(each.label, each.predicted, each.count) for each in mistakes[:2]] == [
        ("general", "teen", 36),
        ("teen", "general", 33),
    ]
    assert mistakes[0].share == pytest.approx(36 / 295)


def test_long_curves_are_thinned_but_keep_their_extremes(make_job: Make) -> None:
    points = [Point("train/loss", step, step / 100, 1.0) for step in range(1, 5001)]
    points[3333] = Point("train/loss", 3334, 33.34, 9.0)
    (curve,) = build_report(make_job(), points).curves

    assert curve.recorded == 5000
    assert len(curve.points) == 240
    assert (curve.points[0].step, curve.points[-1].step) == (1, 5000)
    assert (curve.highest.step, curve.highest.value) == (3334, 9.0)


def test_the_manifest_adds_libraries_exports_and_labels(make_job: Make, make_evaluation: Make) -> None:
    verdict = ExportVerdict(
        format="onnx", file="model.onnx", bytes=1, rows=64, max_abs_difference=1e-6, label_agreement=1.0, passed=True
    )
    job: Job = make_job(metrics=JobMetrics())
    manifest = Manifest(
        model=job.model,
        job_id=job.id,
        attempt=1,
        created_at=datetime.now(UTC),
        family=job.family,
        labels=["no", "yes"],
        text=job.text,
        tokenizer=TokenizerSettings(max_length=256, pad_token_id=0),
        base_model=job.base_model,
        dataset=job.dataset,
        hyperparameters={},
        resolutions=[],
        validation=None,
        test=None,
        exports=[verdict],
        libraries={"torch": "2.13.0", "onnx": "1.23.2"},
        files={},
    )
    report = build_report(job, [], manifest=manifest)

    assert list(report.environment.libraries) == ["onnx", "torch"]
    assert report.exports == [verdict]
    assert [each.label for each in report.data.labels] == ["no", "yes"]


def test_a_queued_job_has_a_report_too(make_job: Make) -> None:
    job = make_job(
        status="queued",
        progress=Progress(),
        worker=None,
        metrics=JobMetrics(),
        stop_reason=None,
        result=None,
        usage=Usage(),
        started_at=None,
        finished_at=None,
        hyperparameters={"learning_rate": "auto", "batch_size": "auto"},
        resolutions=[],
    )
    report = build_report(job, [])

    assert report.title == "content-rating"
    assert "has not started" in report.summary
    assert report.data.random_baseline is None
    assert "There are no curves to examine yet." in as_html(report)
    assert "There are no curves to examine yet." in as_markdown(report)


def test_a_failed_job_says_why_first(make_job: Make) -> None:
    error = {"code": "gpu-out-of-memory", "detail": "The GPU's memory did not suffice.", "remedy": "Halve the batch."}
    report = build_report(make_job(status="failed", error=error, result=None, metrics=JobMetrics()), [])

    assert "The job failed: The GPU's memory did not suffice." in report.summary
    assert "Halve the batch." in as_html(report)
    assert "Error gpu-out-of-memory: The GPU's memory did not suffice. Halve the batch." in as_markdown(report)


def test_a_report_is_the_same_after_a_trip_through_json(report: Report) -> None:
    again = Report.model_validate_json(report.model_dump_json())
    assert again == report
    assert as_html(again) == as_html(report)


def test_points_need_only_look_like_points(make_job: Make) -> None:
    point = SimpleNamespace(name="train/loss", step=1, epoch=0.1, value=1.0)
    assert build_report(make_job(), [point]).curves[0].first.value == 1.0


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        st.builds(
            Point,
            st.sampled_from(["train/loss", "eval/loss", "eval/f1_macro", "eval/accuracy", "train/grad_norm", "x"]),
            st.integers(0, 40),
            st.floats(),
            st.floats(),
        ),
        max_size=60,
    ),
    wishes=st.dictionaries(
        st.sampled_from(["learning_rate", "batch_size", "class_weights", "warmup_steps", "precision", "max_steps"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2),
    ),
)
def test_no_history_and_no_hyperparameters_break_a_report(
    make_job: Make, values: list[Point], wishes: dict[str, Any]
) -> None:
    """What an older or a broken worker left behind must still be shown."""
    report = build_report(make_job(hyperparameters=wishes), values)

    assert as_html(report).endswith("</html>\n")
    assert as_markdown(report).startswith("# content-rating:3: training report\n")
    assert report.model_dump_json()


def test_several_tasks_are_named_and_their_curves_come_last(make_job: Make, points: list[Point]) -> None:
    options = {"type": "multitask", "name": "rating", "tasks": {"mood": {"dataset_id": "ds_2", "loss_weight": 0.25}}}
    of_mood = [Point("eval/mood/f1_macro", point.step, point.epoch, 0.5) for point in points if "eval" in point.name]
    job = make_job(family="multitask", family_options=options)
    report = build_report(job, [*of_mood, *points])
    assert report.summary.startswith("roberta-base, fine-tuned on 3,920 rows with 3 labels, together with mood.")
    assert [curve.name for curve in report.curves][-2:] == ["train/learning_rate", "eval/mood/f1_macro"]
    lines = {line.name: line.text for line in report.publication.lines}
    assert lines["Tasks"].startswith("rating (loss weight 1), mood (loss weight 0.25)")
