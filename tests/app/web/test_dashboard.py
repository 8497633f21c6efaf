"""The files of the dashboard: all there, strictly fenced, kept by browsers, and the same in a wheel."""

import re
import tomllib
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.api.assets import bundle
from app.api.dashboard import PAGES
from app.main import create_app
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
WEB = ROOT / "app" / "web"
SOURCES = sorted(WEB.rglob("*.js"))
IMPORT = re.compile(r"""\bfrom\s+"(\.[^"]+)"|\bimport\("(\.[^"]+)"\)""")
OTHER_HOST = re.compile(r"""["'(`](?:https?:)?//\w""")
NAMESPACE = "http://www.w3.org/2000/svg"


@pytest.fixture(scope="module")
def client() -> TestClient:
    """A client without a key of an application that wants one, not started: the pages need no database."""
    settings = Settings(_env_file=None, api_key="k" * 32, log_level="WARNING")
    return TestClient(create_app(settings), base_url="http://127.0.0.1:8000", follow_redirects=False)


def test_the_root_leads_to_the_jobs(client: TestClient) -> None:
    for path in ("/", "/ui"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (302, "/ui/jobs")
    assert client.get("/jobs").status_code == 401


def test_every_page_is_the_same_empty_one(client: TestClient) -> None:
    pages = [client.get(f"/ui/{page}") for page in sorted(PAGES)] + [client.get("/ui/jobs/job_1")]
    assert {page.status_code for page in pages} == {200}
    assert len({page.text for page in pages}) == 1
    assert client.get("/ui/nonsense").status_code == 404
    assert client.get("/ui/nonsense").text == pages[0].text


def test_the_policy_lets_in_nothing_but_our_own_files(client: TestClient) -> None:
    page = client.get("/ui/jobs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.search(r"<script>|<style|\son\w+=|\sstyle=", page.text)
    assert not OTHER_HOST.search(page.text)


def test_browsers_keep_files_until_any_of_them_changes(client: TestClient) -> None:
    named = set(re.findall(r'(?:src|href)="(/ui/assets/[^"]+)"', client.get("/ui/jobs").text))
    assert len(named) >= 4
    for address in named:
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    old = client.get("/ui/assets/0123456789abcdef/main.js")
    assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")
    page = client.get("/ui/jobs")
    assert page.headers["cache-control"] == "no-cache"
    assert client.get("/ui/jobs", headers={"If-None-Match": page.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("name", ["none.js", "../auth.py", "..%2f..%2fsettings.py", "README.md", "index.html", ""])
def test_nothing_else_is_given(client: TestClient, name: str) -> None:
    assert client.get(f"/ui/assets/{bundle().version}/{name}").status_code == 404


def test_the_charts_and_the_typeface_come_out_of_packages(client: TestClient) -> None:
    chart = client.get(f"/ui/assets/{bundle().version}/chart.js")
    assert chart.headers["content-type"].startswith("text/javascript")
    assert "Chart.js v4" in chart.text[:200] and "MIT License" in chart.text[:400]
    font = client.get(f"/ui/assets/{bundle().version}/sans.otf")
    assert (font.headers["content-type"], font.content[:4]) == ("font/otf", b"OTTO")


def test_every_module_is_named_right() -> None:
    assert len(SOURCES) > 10
    for source in SOURCES:
        for found in IMPORT.findall(source.read_text()):
            target = (source.parent / (found[0] or found[1])).resolve()
            assert target.is_file(), f"{source.name}: {found}"
    named = re.findall(r'\["(/ui/[^"]*)", "([\w-]+)"\]', (WEB / "pages.js").read_text())
    assert {address.split("/")[2] for address, _ in named} <= PAGES
    for _, module in named:
        assert (WEB / "pages" / f"{module}.js").is_file()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(WEB)))
def test_no_module_breaks_the_rules(source: Path) -> None:
    text = source.read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert not OTHER_HOST.search(text.replace(NAMESPACE, ""))
    assert text.startswith("/**"), "opens with what it is for"
    assert len(text.splitlines()) <= 300


def test_a_wheel_has_them_too() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "web/**" in settings["tool"]["setuptools"]["package-data"]["app"]
    own = {str(path.relative_to(WEB)) for path in WEB.rglob("*") if path.suffix in {".js", ".css", ".svg"}}
    assert own <= set(bundle().files)


def test_it_can_be_left_out() -> None:
    settings = Settings(_env_file=None, dashboard_enabled=False, log_level="WARNING")
    client = TestClient(create_app(settings), base_url="http://127.0.0.1:8000", follow_redirects=False)
    assert [client.get(path).status_code for path in ("/", "/ui/jobs", "/docs")] == [404, 404, 200]
