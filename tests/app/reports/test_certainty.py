"""How sure a score is, in words; in the report and on the model card alike."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from app.artifacts.bundle import Manifest
from app.reports.assembly import build_report
from app.reports.certainty import certainty, versus
from app.reports.html import as_html
from app.reports.markdown import as_markdown
from app.reports.model_card import model_card
from app.schemas.jobs import BaseModelRef, Job
from app.schemas.judgements import Baseline, Interval, Intervals, PairedComparison
from app.schemas.text import TextOptions, TokenizerSettings

INTERVALS = Intervals(
    split="test",
    rows=1200,
    resamples=1000,
    accuracy=Interval(low=0.741, high=0.789),
    f1_macro=Interval(low=0.68, high=0.73),
)


def compared(difference: float, verdict: str) -> Baseline:
    comparison = PairedComparison(
        rows=1200,
        better=30,
        worse=20,
        p_value=0.1611,
        accuracy_difference=10 / 1200,
        accuracy_verdict="inside-noise",
        f1_macro_difference=difference,
        f1_macro_interval=Interval(low=-1, high=1),
        f1_macro_verdict=verdict,  # type: ignore[arg-type]
    )
    return Baseline(
        name="tfidf-logistic-regression",
        split="test",
        accuracy=0.75,
        f1_macro=0.69,
        comparison=comparison,
        note="so it is",
    )


@pytest.mark.parametrize(
    ("difference", "verdict", "words"),
    [
        (
            0.015,
            "better",
            "It beats TF-IDF + logistic regression by 0.015 macro F1 (30 texts better, 20 worse, p = 0.16)",
        ),
        (-0.015, "worse", "It is worse than TF-IDF + logistic regression by 0.015 macro F1"),
        (0.015, "inside-noise", "It is 0.015 macro F1 above TF-IDF + logistic regression, inside noise"),
        (-0.015, "inside-noise", "It is 0.015 macro F1 below TF-IDF + logistic regression, inside noise"),
    ],
)
def test_a_comparison_in_words(difference: float, verdict: str, words: str) -> None:
    said = versus(compared(difference, verdict))
    assert said.startswith(words)
    assert said.endswith(", which reaches macro F1 0.690 and accuracy 75.0 % on the same rows (so it is).")


def test_what_was_left_out_is_told() -> None:
    said = versus(Baseline(name="majority", split="test", note="left out: 300 labels"))
    assert said == "There is no comparison with always answering the commonest label (left out: 300 labels)."
    assert certainty(None) is None


def test_card_and_report_say_the_same(make_job: Callable[..., Job], points: list[Any]) -> None:
    job = make_job()
    manifest = Manifest(
        model="content-rating",
        job_id=job.id,
        attempt=1,
        created_at=datetime.now(UTC),
        family="encoder",
        labels=["general", "teen", "mature"],
        text=TextOptions(),
        tokenizer=TokenizerSettings(max_length=32, pad_token_id=0),
        base_model=BaseModelRef(id="tiny", source="folder"),
        dataset=job.dataset,
        hyperparameters={},
        resolutions=[],
        validation=job.metrics.validation,
        test=job.metrics.test,
        intervals=INTERVALS,
        baselines=[compared(0.015, "better")],
        exports=[],
        libraries={"tunesmith": "9.9"},
        files={},
    )
    report = build_report(job, points, manifest=manifest)
    assert report.certainty.sentences == [certainty(INTERVALS), versus(compared(0.015, "better"))]
    assert "lies between 74.1 % and 78.9 %, macro F1 between 0.680 and 0.730 (bootstrap over 1,200" in as_html(report)
    for text in (as_markdown(report), model_card("content-rating", 3, manifest)):
        assert "It beats TF-IDF + logistic regression by 0.015 macro F1" in text
        assert "macro F1 between 0.680 and 0.730" in text
    assert "tunesmith 9.9" in model_card("content-rating", 3, manifest)
    assert "How sure that is" not in as_markdown(build_report(job, points))
