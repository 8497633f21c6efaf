"""The whole path in a browser: upload, problems, submit, curves, promote, try, roll back; a test plays the worker."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect

from app.settings import Settings
from app.store import migrate
from app.store.attempts import Recorded, record
from app.store.claims import Claim
from app.store.metrics import Point
from tests.app.live_service import LiveService, live_service, training_events

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROWS = "".join(f"{('good' if number % 2 else 'bad')} day {number // 2},{'ab'[number % 2]}\n" for number in range(60))
DATA = f"text,label\n{ROWS}good day 1,b\n"
SERIOUS = {"serious", "critical"}
CURVE_MS = 15_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    folder = tmp_path_factory.mktemp("browser")
    url = f"sqlite:///{folder}/browser.db"
    migrate.upgrade(url)
    with live_service(Settings(_env_file=None, data_dir=folder, database_url=url, log_level="ERROR")) as service:
        yield service


class Visitor:
    """A tab that remembers what a careful person would complain of."""

    def __init__(self, chromium: Browser, url: str) -> None:
        self.page: Page = chromium.new_page(base_url=url, viewport={"width": 1280, "height": 900})
        self.complaints: list[str] = []
        self.page.on("console", lambda message: message.type == "error" and self._hear(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._listen)

    def _hear(self, text: str) -> None:
        if not re.search(r"status of (409|422)", text):  # Chromium reports refusals too, which the page shows
            self.complaints.append(text)

    def _listen(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1", "blob:", "data:")):
            self.complaints.append(f"asked {request.url}")

    def open(self, address: str) -> Page:
        """Go to a page and wait until it can be used."""
        self.page.goto(address)
        self.ready()
        return self.page

    def ready(self) -> None:
        self.page.wait_for_selector("main[data-ready]")

    def look(self) -> None:
        """Check what is shown for people who read it otherwise."""
        found = Axe().run(self.page).response["violations"]
        serious = [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in SERIOUS]
        assert serious == [], f"{self.page.url}: {serious}"


@pytest.fixture
def visitor(chromium: Browser, service: LiveService) -> Iterator[Visitor]:
    visitor = Visitor(chromium, service.url)
    yield visitor
    assert visitor.complaints == []
    visitor.page.close()


def job_of(page: Page) -> str:
    """Wait for the page of a new job and give its id."""
    page.wait_for_url("**/ui/jobs/job_*")
    return page.url.rpartition("/")[2].partition("?")[0]


def learn(service: LiveService, claim: Claim, steps: list[int]) -> None:
    """Write what a worker would of these steps: its events, and the points of a curve."""
    points = [Point("train/loss", step, step / 10, 1 / step) for step in steps]
    service.tell(claim, *training_events(steps, total=40))
    assert service.do(record, claim, Recorded(points=points))


def curve_of(page: Page) -> bytes:
    """Give the curve of the loss as it is drawn now."""
    return page.locator("canvas").first.screenshot()


def submit(page: Page) -> str:
    button = page.get_by_role("button", name="Train", exact=True)
    expect(button).to_be_enabled()
    button.click()
    return job_of(page)


def test_from_a_file_to_a_version_that_serves_and_back(visitor: Visitor, service: LiveService, tmp_path: Path) -> None:
    file = tmp_path / "moods.csv"
    file.write_text(DATA)
    page = visitor.open("/ui/new")
    page.get_by_label("Base model").fill("minilm-l6")  # first: nothing is to be looked up at the hub
    page.get_by_label("Upload a file").set_input_files(file)
    expect(page.get_by_text("to look at")).to_be_visible()
    expect(page.get_by_label("Name of the model")).to_have_value("moods")
    page.get_by_label("Learning rate", exact=True).fill("5")
    expect(page.get_by_text("must be", exact=False).first).to_be_visible()
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_disabled()
    page.get_by_label("Learning rate", exact=True).fill("1e-4")
    expect(page.get_by_text("Judged on")).to_be_visible()
    visitor.look()
    first = submit(page)

    claim = service.claim(first)
    service.enter(claim, "training")
    learn(service, claim, [10, 20])
    visitor.ready()
    expect(page.locator("canvas").first).to_be_visible(timeout=CURVE_MS)
    page.wait_for_timeout(1500)
    before = curve_of(page)
    learn(service, claim, [30, 40])
    deadline = time.monotonic() + CURVE_MS / 1000
    while curve_of(page) == before:
        assert time.monotonic() < deadline, "the curve did not move"
        page.wait_for_timeout(300)
    service.fail(claim)
    expect(page.get_by_text("The loss is not a number.").first).to_be_visible(timeout=CURVE_MS)

    page.get_by_role("button", name="Retry").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    page.wait_for_url(lambda url: "/ui/jobs/job_" in url and first not in url)
    visitor.ready()
    again = job_of(page)
    requests = [page.request.get(f"/jobs/{job}/request").json() for job in (first, again)]
    assert requests[0] == requests[1]
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(page.locator(".job-head .badge")).to_have_text("cancelled")

    for _ in range(2):
        visitor.open(f"/ui/jobs/{first}").get_by_role("link", name="Clone").click()
        visitor.ready()
        expect(page.get_by_label("Learning rate", exact=True)).to_have_value("0.0001")
        service.publish(submit(page), "moods")

    visitor.open("/ui/models/moods")
    for version in (1, 2):
        page.get_by_role("button", name=f"Promote version {version}").click()
        page.get_by_role("dialog").get_by_role("button", name="Promote", exact=True).click()
        expect(page.get_by_role("heading", name=f"champion is version {version}")).to_be_visible()
    visitor.look()

    visitor.open("/ui/try?model=moods&with=moods:1")
    page.get_by_label("Text", exact=True).fill("what a good day")
    answers = page.get_by_label(re.compile("Answer of"))
    expect(answers).to_have_count(2)
    expect(answers.first.locator(".chosen")).to_have_text("a (given)")
    visitor.look()

    visitor.open("/ui/models/moods")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_label("Why, for the history").fill("too many refunds")
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("heading", name="champion is version 1")).to_be_visible()
    expect(page.get_by_text("too many refunds")).to_be_visible()


def test_a_file_with_other_columns_is_read_again(visitor: Visitor, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text(DATA.replace("text,label", "words,mood", 1))
    page = visitor.open("/ui/new")
    page.get_by_label("Base model").fill("minilm-l6")  # first: nothing is to be looked up at the hub
    page.get_by_label("Upload a file").set_input_files(file)
    expect(page.get_by_text("The file has no columns text and label")).to_be_visible()
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_disabled()
    page.get_by_label("Column with the texts").fill("words")
    page.get_by_label("Column with the labels").fill("mood")
    page.get_by_role("button", name="Read it again").click()
    expect(page.get_by_text("to look at")).to_be_visible()
    expect(page.get_by_label("Name of the model")).to_have_value("odd")


def test_a_policy_is_set_and_blocks_a_promotion_until_somebody_says_why(visitor: Visitor) -> None:
    page = visitor.open("/ui/models/moods")
    page.get_by_text("Policy and traffic").click()
    page.get_by_role("button", name="Set a policy").click()
    dialog = page.get_by_role("dialog")
    floors = dialog.get_by_role("group", name="Floors", exact=True)
    floors.get_by_role("button", name="Add one").click()
    floors.get_by_label("At least").fill("2")
    dialog.get_by_role("button", name="Save the policy").click()
    expect(floors.locator('[data-field="metric"] .wrong')).to_be_visible()
    expect(floors.locator('[data-field="at_least"] .wrong')).to_contain_text("1")
    visitor.look()
    floors.get_by_label("Metric").select_option("accuracy")
    floors.get_by_label("At least").fill("1")
    dialog.get_by_role("button", name="Save the policy").click()
    expect(page.get_by_text("reach accuracy 1 on the test rows")).to_be_visible()

    page.get_by_role("button", name="Promote version 2").click()
    expect(dialog.get_by_text("metric floor")).to_be_visible()
    expect(dialog.get_by_role("button", name="Promote", exact=True)).to_be_disabled()
    dialog.get_by_role("button", name="Promote all the same").click()
    expect(dialog.get_by_text("Say why")).to_be_visible()
    dialog.get_by_label("Why, for the history").fill("the data are better")
    dialog.get_by_role("button", name="Promote all the same").click()
    expect(page.get_by_role("heading", name="champion is version 2")).to_be_visible()


def test_traffic_is_split_after_a_question_and_ended(visitor: Visitor) -> None:
    place = "/models/moods/aliases/champion"
    visitor.page.request.put(f"{place}/policy", data={"latency": {"ms_per_text": 0.000001}})
    page = visitor.open("/ui/models/moods#alias-champion")
    page.get_by_role("button", name="Split the traffic").click()
    dialog = page.get_by_role("dialog", name="What becomes of the calls")
    question = page.get_by_role("dialog", name="Change what callers")
    canary = dialog.get_by_role("group", name="Canary")
    canary.get_by_role("checkbox").check()
    canary.get_by_label("Version").select_option("1")
    canary.get_by_label("Percent").fill("150")
    save = dialog.get_by_role("button", name="Save the split")
    save.click()
    question.get_by_role("button", name="Let it answer").click()
    expect(canary.locator('[data-field="percent"] .wrong')).to_contain_text("100")
    canary.get_by_label("Percent").fill("10")
    save.click()
    question.get_by_role("button", name="Back").click()
    assert page.request.get(f"{place}/traffic").status == 404
    save.click()
    question.get_by_role("button", name="Let it answer").click()
    expect(dialog.get_by_text("latency")).to_be_visible()
    visitor.look()
    dialog.get_by_label("Why, for the history").fill("a slow one is better than none")
    dialog.get_by_role("button", name="Split all the same").click()
    question.get_by_role("button", name="Let it answer").click()
    expect(page.get_by_text("Version 1 answers 10 % of its calls as a canary.")).to_be_visible()
    assert page.request.get(f"{place}/traffic").json()["traffic"]["canary"] == {"version": 1, "percent": 10}

    page.get_by_role("button", name="Change the traffic").click()
    dialog.get_by_role("button", name="End the split").click()
    page.get_by_role("dialog", name="End the split?").get_by_role("button", name="End it").click()
    expect(page.get_by_text("Version 2 answers all its calls.")).to_be_visible()
    page.get_by_role("button", name="Change the policy").click()
    page.get_by_role("button", name="Remove the policy").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("No policy: it may name any version.")).to_be_visible()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_every_page_can_be_read_by_everybody(visitor: Visitor, colours: str) -> None:
    visitor.page.emulate_media(color_scheme="dark" if colours == "dark" else "light")
    listed = visitor.page.request.get("/datasets").json()["data"]
    places = ["datasets", f"datasets/{listed[0]['id']}", "models", "models/moods/versions/1"]
    for place in [*places, "models/moods/diff?from=1&to=2"]:
        visitor.open(f"/ui/{place}")
        visitor.look()


def test_a_narrow_screen_is_wide_enough(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 390, "height": 800})
    for place in ("new", "datasets", "models", "models/moods", "models/moods/versions/1", "try?model=moods"):
        page = visitor.open(f"/ui/{place}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
