"""What the pages of the project say that can be checked: their links, headings, code and commands."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+\s+(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """One file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def blocks(self) -> list[Block]:
        """Give the fenced blocks in order."""
        return [Block(*found) for found in FENCE.findall(self.text)]

    @property
    def prose(self) -> str:
        """Give what is outside of fenced blocks."""
        return FENCE.sub("", self.text)

    @property
    def links(self) -> list[str]:
        """Give the targets of all links and images, but for those that leave the project."""
        return [link for link in _LINK.findall(self.prose) if not re.match(r"[a-z]+:", link)]

    @property
    def anchors(self) -> set[str]:
        """Give what a link may name after the #, as GitHub makes it of headings."""
        headings = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in _HEADING.findall(self.prose))
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @property
    def inline(self) -> list[str]:
        """Give the pieces of code inside of sentences."""
        return _INLINE.findall(self.prose)

    def commands(self, start: str) -> Iterator[list[str]]:
        """Give the words after ``start`` of each command line in blocks, and of each inline piece that has some."""
        lines = [line for block in self.blocks for line in block.text.replace("\\\n", " ").splitlines()]
        for line in [*lines, *self.inline]:
            _, found, rest = line.partition(start)
            if found and not rest.startswith((":", "/")):
                yield shlex.split(re.split(r"[|><;&]", rest)[0], comments=True)


def pages() -> list[Page]:
    """Find every page that is part of the project."""
    folders = ("docs", "examples", "bench")
    files = [*ROOT.glob("*.md"), *(file for folder in folders for file in (ROOT / folder).rglob("*.md"))]
    return [Page(path) for path in sorted(files)]
