"""The files of the dashboard, ours and those of two packages, under a version that changes when any of them does."""

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "otf": "font/otf",
}
_SHELL = "index.html"
_PLACE_OF_VERSION = b"VERSION"
_OF_PACKAGES = {
    "chart.js": ("chartkick", "django/static/chartkick/Chart.bundle.js"),
    "sans.otf": ("font_source_sans_pro", "files/SourceSansPro-Regular.otf"),
    "sans-semibold.otf": ("font_source_sans_pro", "files/SourceSansPro-Semibold.otf"),
}
"""What others have made, by the name that pages know it by: never copied, always as its package has it."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    content: bytes
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """All files of the dashboard by name, and the page that names their version."""

    version: str
    files: Mapping[str, Asset]
    shell: Asset


@cache
def bundle() -> Bundle:
    """Read all files; they are the same as long as the process lives."""
    contents = dict(_own(files("app").joinpath("web"), ""))
    shell = contents.pop(_SHELL)
    contents |= {name: _of_package(*place).read_bytes() for name, place in _OF_PACKAGES.items()}
    whole = hashlib.sha256()
    for name, content in sorted(contents.items()):
        whole.update(f"{name} {len(content)}\n".encode() + content)
    version = whole.hexdigest()[:16]
    return Bundle(
        version=version,
        files={name: _asset(name, content) for name, content in contents.items()},
        shell=_asset(_SHELL, shell.replace(_PLACE_OF_VERSION, version.encode())),
    )


def _own(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _own(entry, f"{path}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            yield path + entry.name, entry.read_bytes()


def _of_package(package: str, path: str) -> Path:
    """Find a file of an installed package without running the package: chartkick would want a web framework."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed; install the dependencies of the app")
    return Path(found.submodule_search_locations[0]) / path


def _asset(name: str, content: bytes) -> Asset:
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Asset(content=content, media_type=_TYPES[name.rpartition(".")[2]], etag=etag)
