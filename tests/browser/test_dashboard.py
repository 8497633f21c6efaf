"""The dashboard in a real browser: jobs, one job as it runs, comparing, the system, signing in; and how fast it is."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.schemas.jobs import Progress
from app.settings import Settings
from app.store import jobs, workers
from app.store.metrics import Point
from tests.app.live_service import LiveService, live_service
from tests.browser import seed
from tests.browser.conftest import READY, accessible, picture

Visit = Callable[[str], Page]
WORKER = {"hostname": "gpu-1", "pid": 41, "device": "NVIDIA L4", "slots": 1, "queues": ["default", "gpu"]}
MOST_MS = 1000


@pytest.fixture
def dataset(service: LiveService) -> str:
    """A dataset of the service."""
    return seed.add_dataset(service.database)


def test_the_list_shows_filters_and_leads_on(service: LiveService, visit: Visit, dataset: str) -> None:
    ids = seed.add_jobs(service.database, dataset, 60)
    page = visit("/")
    assert page.url == f"{service.url}/ui/jobs"
    rows = page.locator("table.jobs tbody tr")
    expect(rows).to_have_count(25)
    accessible(page)
    picture(page, "jobs")
    page.get_by_label("Status").select_option("running")
    expect(rows).to_have_count(2)
    page.get_by_label("Status").select_option("")
    page.get_by_label("Search").fill(ids[7][-8:])
    expect(rows).to_have_count(1)
    assert ids[7][-8:] in page.url
    page.get_by_label("Search").fill("no such thing")
    expect(page.get_by_text("No job is like that.")).to_be_visible()
    page.get_by_label("Search").fill("")
    expect(rows).to_have_count(25)
    page.get_by_role("button", name="Older").click()
    expect(page.get_by_text("Page 2")).to_be_visible()
    page.get_by_role("button", name="Newer").click()
    expect(rows.first).to_contain_text(ids[-1])
    for row in range(6, 9):
        rows.nth(row).get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare 3").click()
    page.wait_for_selector(READY)
    expect(page.locator(".run")).to_have_count(3)


def test_a_job_is_watched_live(service: LiveService, visit: Visit, dataset: str) -> None:
    job_id = seed.add_jobs(service.database, dataset, 10)[-1]
    page = visit(f"/ui/jobs/{job_id}")
    expect(page.get_by_text("No curve yet.")).to_be_visible()
    claim = service.claim(job_id)
    service.enter(claim, "training")
    for step in range(1, 41):
        seen = Progress(
            fraction=step / 100, step=step, total_steps=100, epoch=step / 50, loss=1 / step, eta_seconds=60.0
        )
        points = [Point("train/loss", step, step / 50, math.exp(-step / 20)), Point("eval/loss", step, step / 50, 0.6)]
        told = jobs.Recorded(progress=seen, points=points, events=[jobs.NewEvent("step", seen.model_dump(mode="json"))])
        assert service.do(jobs.record, claim, told)
    expect(page.get_by_role("progressbar").first).to_have_attribute("aria-valuenow", "40")
    expect(page.locator(".legend").first).to_contain_text("train/loss")
    expect(page.locator("canvas").first).to_have_attribute(
        "aria-label", "Loss. train/loss: now 0.1353, from 0.1353 to 0.9512. eval/loss: now 0.6, from 0.6 to 0.6."
    )
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    accessible(page)
    picture(page, "job-running")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Let it run").click()
    page.get_by_role("button", name="Stop and keep").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop and keep the best").click()
    expect(page.get_by_role("button", name="Stop and keep")).to_have_count(0)
    service.fail(claim)
    expect(page.get_by_text("Halve learning_rate.")).to_be_visible()
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_a_finished_job_tells_everything(service: LiveService, visit: Visit, dataset: str) -> None:
    job_id = seed.add_jobs(service.database, dataset, 10)[-1]
    service.publish(job_id, "support-tickets")
    seed.add_curves(service.database, job_id, 300)
    page = visit(f"/ui/jobs/{job_id}")
    expect(page.locator("#scores table").first).to_be_visible()
    expect(page.locator("#files")).to_contain_text("manifest.json")
    page.locator("summary", has_text="More curves").click()
    expect(page.locator("figcaption", has_text="Gradient norm")).to_be_visible()
    page.locator("summary", has_text="More curves").click()
    accessible(page)
    picture(page, "job")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Report, HTML").click()
    assert "<html" in Path(saved.value.path()).read_text()


def test_jobs_are_compared(service: LiveService, visit: Visit, dataset: str) -> None:
    ids = seed.add_jobs(service.database, dataset, 12)[:3]
    for place, job_id in enumerate(ids):
        seed.add_curves(service.database, job_id, 300 + 50 * place)
    page = visit(f"/ui/compare?job={ids[0]}&job={ids[1]}")
    expect(page.locator("canvas").first).to_be_visible()
    page.get_by_label("Add a job").fill(ids[2])
    page.locator(".results button").first.click()
    expect(page.locator(".run")).to_have_count(3)
    expect(page.locator("table.compared")).to_contain_text("learning_rate")
    accessible(page)
    picture(page, "compare")


def test_the_system_shows_queues_and_workers(service: LiveService, visit: Visit, dataset: str) -> None:
    page = visit("/ui/system")
    expect(page.get_by_text("No worker is connected.", exact=True)).to_be_visible()
    seed.add_jobs(service.database, dataset, 10)
    service.do(workers.seen, id="wrk_seed", **WORKER)
    expect(page.get_by_text("gpu-1")).to_be_visible(timeout=10_000)
    accessible(page)
    picture(page, "system")


def test_a_narrow_screen_has_a_menu_and_no_overflow(visit: Visit, service: LiveService, dataset: str) -> None:
    job_id = seed.add_jobs(service.database, dataset, 30)[-1]
    seed.add_curves(service.database, job_id, 50)
    for path in ("/ui/jobs", f"/ui/jobs/{job_id}", "/ui/system", "/ui/compare"):
        page = visit(path)
        page.set_viewport_size({"width": 390, "height": 800})
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.wait_for_selector(READY)


def test_a_key_is_asked_for(data_dir: Path, sqlite_url: str, page: Page) -> None:
    key = "a-key-that-is-long-enough"
    settings = Settings(_env_file=None, data_dir=data_dir, database_url=sqlite_url, api_key=key, log_level="ERROR")
    with live_service(settings) as service:
        page.goto(f"{service.url}/ui/sign-in?next=/ui/system")
        accessible(page)
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/ui/system")
        page.wait_for_selector(READY)
        page.get_by_role("button", name="Forget the key").click()
        page.wait_for_url("**/ui/sign-in")


def test_thousands_of_jobs_and_of_points_open_in_a_second(
    service: LiveService, visit: Visit, dataset: str, record_property: Callable[[str, object], None]
) -> None:
    ids = seed.add_jobs(service.database, dataset, 5000)
    assert seed.add_curves(service.database, ids[-4], 25_000) == 100_000
    took = {}
    for name, path in {"list": "/ui/jobs", "job": f"/ui/jobs/{ids[-4]}"}.items():
        visit(path)  # the first visit fetches the files
        tries = [float(visit(path).evaluate("window.readyAfter")) for _ in range(3)]
        took[name] = round(min(tries))
    print(f"\ninteractive after {took} ms")  # noqa: T201 - the figure that is asked for
    record_property("milliseconds", took)
    assert max(took.values()) < MOST_MS, took
