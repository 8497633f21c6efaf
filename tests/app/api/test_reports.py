"""The report of a job and its plots over HTTP, from the first moment to the last."""

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import event, insert
from starlette.testclient import TestClient

from app.api.reports import MOST_POINTS, preferred, read_issues
from app.artifacts.keys import ISSUES, of_attempt
from app.schemas.inspections import Inspection, Layer
from app.schemas.issues import DataIssues, HardExample
from app.schemas.jobs import WorkerRef
from app.schemas.reports import Report
from app.store import jobs, tables
from app.store.engine import Database
from app.store.metrics import Point
from tests.app.api.problem import problem_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CURVES = {"train/loss": 3.0, "eval/loss": 3.5}
POINTS = [Point(name, step, step / 10, value / step) for step in range(1, 31) for name, value in CURVES.items()]
INSPECTION = Inspection(
    architecture="BertForSequenceClassification",
    parameters=1000,
    trainable_parameters=10,
    size_mb=0.5,
    device="cpu",
    layers=[Layer(name="bert", kind="BertModel", parameters=990)],
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.fixture
def running(db: Database, job_id: str) -> str:
    """A job in training."""

    def work(session: Any) -> None:
        claim = jobs.claim(session, job_id, owner="w", queues=["default"], lease_seconds=60, worker=WorkerRef(id="w"))
        assert claim is not None
        jobs.start_phase(session, claim, "training")
        jobs.record(
            session, claim, jobs.Recorded(points=POINTS, last_metrics={"train/loss": 0.1}, inspection=INSPECTION)
        )

    db.run(work)
    return job_id


def test_a_job_says_what_its_network_is_made_of(client: TestClient, job_id: str) -> None:
    assert client.get(f"/jobs/{job_id}").json()["inspection"] is None
    assert client.get(f"/jobs/{job_id}/report").json()["inspection"] is None


def test_a_running_job_says_what_its_network_is_made_of(client: TestClient, running: str) -> None:
    for place in (f"/jobs/{running}", f"/jobs/{running}/report"):
        assert client.get(place).json()["inspection"] == INSPECTION.model_dump()


def test_a_waiting_job_has_a_report_of_what_there_is(client: TestClient, job_id: str) -> None:
    answer = client.get(f"/jobs/{job_id}/report")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    report = Report.model_validate_json(answer.content)
    assert (report.status, report.curves, report.scores, report.issues) == ("queued", [], [], None)
    assert report.data.labels[0].counts == {"train": 16, "validation": 2, "test": 2}
    assert client.get(f"/jobs/{job_id}").json()["links"]["report"] == f"/jobs/{job_id}/report"
    assert problem_of(client.get(f"/jobs/{job_id}/plots/loss.svg")) == (404, "plot-without-data")


def test_a_running_job_has_its_curves_in_every_form(client: TestClient, running: str) -> None:
    here = f"/jobs/{running}/report"
    assert [curve["name"] for curve in client.get(here).json()["curves"]] == ["train/loss", "eval/loss"]
    page = client.get(here, headers={"Accept": BROWSER})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<svg" in page.text and page.headers["vary"] == "Accept"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for markdown in (client.get(here, headers={"Accept": "text/markdown"}), client.get(f"{here}?format=md")):
        assert markdown.headers["content-type"] == "text/markdown; charset=utf-8"
        assert markdown.text.startswith("# mood")
    assert client.get(f"{here}?format=json", headers={"Accept": BROWSER}).json()["status"] == "running"
    assert problem_of(client.get(f"{here}?format=pdf"))[0] == 422


def test_a_long_run_is_summed_up_where_it_is_stored(client: TestClient, db: Database, running: str) -> None:
    steps = range(31, 3001)
    rows = [
        {"job_id": running, "attempt": 1, "name": name, "step": step, "epoch": step / 10, "value": 1 / step, "at": NOW}
        for name in CURVES
        for step in steps
    ]
    rows[500]["value"] = 99.0
    with db.transaction() as session:
        session.execute(insert(tables.MetricPoint), rows)
    read: list[int] = []
    listen = (tables.MetricPoint, "load", lambda point, _: read.append(point.step))
    event.listen(*listen)
    try:
        curves = {curve["name"]: curve for curve in client.get(f"/jobs/{running}/report").json()["curves"]}
    finally:
        event.remove(*listen)
    assert len(curves) <= len(read) <= len(curves) * (MOST_POINTS + 2)
    train = curves["train/loss"]
    assert (train["recorded"], train["highest"]) == (3000, {"step": 531, "epoch": 53.1, "value": 99.0})


def test_a_plot_is_a_picture(client: TestClient, running: str) -> None:
    answer = client.get(f"/jobs/{running}/plots/loss.svg")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert ElementTree.fromstring(answer.text).tag.endswith("svg")
    pixels = client.get(f"/jobs/{running}/plots/loss.png")
    assert (pixels.status_code, pixels.headers["content-type"]) == (200, "image/png")
    assert pixels.content.startswith(b"\x89PNG")
    assert problem_of(client.get(f"/jobs/{running}/plots/los.png")) == (404, "plot-not-found")
    wrong = client.get(f"/jobs/{running}/plots/los.svg")
    assert problem_of(wrong) == (404, "plot-not-found")
    assert wrong.json()["remedy"] == "Did you mean loss?"


def test_a_finished_job_reports_what_its_model_showed_about_the_data(
    client: TestClient, publish: Any, tmp_path: Any
) -> None:
    publish("mood")
    job_id = client.get("/jobs").json()["data"][0]["id"]
    hard = HardExample(row=3, text="t", label="a", predicted="b", probability=0.9, label_probability=0.1, loss=2.3)
    (tmp_path / "found").write_text(DataIssues(split="validation", hardest=[hard]).model_dump_json())
    artifacts = client.app.state.services.artifacts  # type: ignore[attr-defined]
    artifacts.put(of_attempt(job_id, 1, ISSUES), tmp_path / "found")
    report = client.get(f"/jobs/{job_id}/report").json()
    assert (report["title"], report["status"]) == ("mood:1", "succeeded")
    assert report["issues"]["hardest"][0]["row"] == 3
    assert report["environment"]["libraries"] == {"torch": "2.13.0"}

    (tmp_path / "found").write_text("{}")
    artifacts.put(of_attempt(job_id, 2, ISSUES), tmp_path / "found")
    assert read_issues(artifacts, job_id, 2) is None


@pytest.mark.parametrize("path", ["report", "plots/loss.svg", "plots/loss.png"])
def test_an_unknown_job(client: TestClient, path: str) -> None:
    assert problem_of(client.get(f"/jobs/job_0/{path}")) == (404, "job-not-found")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        (BROWSER, "text/html"),
        ("text/markdown, application/json;q=0.5", "text/markdown"),
        ("text/html;q=0.2, text/markdown;q=0.9", "text/markdown"),
        ("text/html;q=0, application/json;q=0.1", "application/json"),
        ("text/html;q=much", "application/json"),
        ("image/png", "application/json"),
    ],
)
def test_what_a_client_prefers(accept: str, chosen: str) -> None:
    assert preferred(accept) == chosen
