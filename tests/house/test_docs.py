"""The documentation is true as far as a program can tell: links, settings, commands, routes, generated pages."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from app.cli.main import COMMANDS, command_of
from app.cli.main import app as command_line
from app.cli.run import parser_of
from app.main import create_app
from app.settings import Settings
from scripts import generate_reference
from tests.house.markdown import ROOT, Page, pages

PAGES = pages()
WRITTEN = [page for page in PAGES if "reference" not in page.path.parts]
"""Written by people."""
VARIABLE = re.compile(r"TUNESMITH_[A-Z0-9_]*[A-Z]")
ROUTE = re.compile(r"\b(GET|POST|PUT|DELETE|PATCH) (/[\w/{}@:.-]*[\w}])")
CURL = re.compile(r"\bcurl\b[^|>]*?(?:\$URL|http://127\.0\.0\.1:8000)(/[^\s\"'?]*)")
PLACEHOLDERS = {"COMMAND"}
FILES = re.compile(r"[\w/.-]+\.(csv|tsv|jsonl?|parquet|ya?ml)|FILE")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Page) -> None:
    for link in page.links:
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in Page(target).anchors, f"{page}: {link}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = Page(waiting.pop())
        reached.add(page.path)
        targets = {(page.path.parent / link.partition("#")[0]).resolve() for link in page.links}
        waiting += [path for path in targets - reached if path.suffix == ".md" and path not in waiting]
    assert {str(page) for page in PAGES if page.path not in reached} == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_settings_that_are_named_exist(page: Page) -> None:
    known = {f"TUNESMITH_{name.upper()}" for name in Settings.model_fields}
    for file in ("docker-compose.yml", "docker-compose.gpu.yml"):
        known |= set(re.findall(r"\$\{(TUNESMITH_\w+)", (ROOT / file).read_text()))
    assert set(VARIABLE.findall(page.text)) - known == set()


@pytest.mark.parametrize("page", WRITTEN, ids=str)
def test_commands_parse(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in page.commands("python -m app"):
        if "..." in words:
            continue
        problem = problem_with(words, tmp_path)
        assert problem is None, f"{page}: python -m app {' '.join(words)}: {problem}"


def problem_with(words: list[str], folder: Path) -> str | None:
    """Parse a command line as the program would, with the files that it names at hand; say what is wrong with it."""
    for word in filter(FILES.fullmatch, words):
        (folder / word).parent.mkdir(parents=True, exist_ok=True)
        (folder / word).touch()
    try:
        parse(words)
    except Exception as error:  # noqa: BLE001  # whatever the parser objects to
        return f"{type(error).__name__} {getattr(error, 'message', error)}"
    return None


def parse(words: list[str]) -> None:
    """Parse; raises what the parser raises."""
    if not words or words[0] in PLACEHOLDERS:
        return
    context = typer.main.get_command(command_line).make_context("app", list(words))
    name, rest = command_of([*context._protected_args, *context.args])
    entry = COMMANDS[name]
    if rest:  # a bare name is a mention
        typer.main.get_command(parser_of(entry.module, entry.function)).make_context(name, rest)


@pytest.fixture(scope="module")
def routes() -> dict[re.Pattern[str], set[str]]:
    """The methods of each path, as patterns that a documented path has to match."""
    document: dict[str, Any] = create_app(Settings(_env_file=None)).openapi()
    paths = {path: {method.upper() for method in item} for path, item in document["paths"].items()}
    paths |= {"/docs": {"GET"}, "/openapi.json": {"GET"}}
    return {re.compile(re.sub(r"\{\w+\}", r"[^/]+", path)): methods for path, methods in paths.items()}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_routes_that_are_named_exist(page: Page, routes: dict[re.Pattern[str], set[str]]) -> None:
    for method, path in ROUTE.findall(page.text):
        methods = {method for pattern, found in routes.items() if pattern.fullmatch(path) for method in found}
        assert method in methods, f"{page}: {method} {path}"
    code = "\n".join(block.text for block in page.blocks).replace("\\\n", " ")
    for path in CURL.findall(code):
        assert any(pattern.fullmatch(path) for pattern in routes), f"{page}: curl {path}"


def test_the_reference_pages_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["generate_reference.py", "--check"])
    with pytest.raises(SystemExit) as ended:
        generate_reference.main()
    assert ended.value.code == 0
