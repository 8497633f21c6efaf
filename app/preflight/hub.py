"""Asks the Hugging Face hub which commit a model's name means now, or finds a copy downloaded earlier."""

import re
from pathlib import Path
from typing import Any

from app.errors import AppError, Unavailable, Unprocessable
from app.preflight.hub_answers import Answer, NoAnswer, ask
from app.settings import Settings

_COMMIT = re.compile(r"[0-9a-f]{40}")


class UnknownRepository(LookupError):
    """The hub has no such public model."""


class Hub:
    """The hub or a mirror of it, and the cache that workers share with us on one machine."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint = settings.hub_endpoint.rstrip("/")
        self._timeout = settings.hub_timeout_seconds
        self._cache = settings.hub_cache_dir

    def commit_of(self, repository: str) -> str:
        """Give the newest commit.

        Raises UnknownRepository, Unprocessable ``no-safetensors`` and the like for models that cannot be used,
        Unavailable ``hub-unreachable``.
        """
        answer = self._ask(f"api/models/{repository}")
        if answer.status in {401, 403, 404}:
            raise UnknownRepository(repository)
        commit = answer.body.get("sha")
        if answer.status != 200 or not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise _unreachable()
        _check_files(repository, answer.body.get("siblings"))
        return commit

    def config_of(self, repository: str, commit: str) -> dict[str, Any]:
        """Give a model's config.json. Raises Unavailable ``hub-unreachable``."""
        answer = self._ask(f"{repository}/resolve/{commit}/config.json")
        return answer.body if answer.status == 200 else {}

    def snapshot(self, repository: str, commit: str) -> Path:
        """Give the folder where a copy on this machine would be, in the layout of huggingface_hub."""
        return self._cache / f"models--{repository.replace('/', '--')}" / "snapshots" / commit

    def cached_commit_of(self, repository: str) -> str | None:
        """Give the commit of a copy on this machine, in the layout of huggingface_hub."""
        folder = self._cache / f"models--{repository.replace('/', '--')}"
        commit = _read_line(folder / "refs" / "main")
        if not _COMMIT.fullmatch(commit) or not (folder / "snapshots" / commit).is_dir():
            return None
        return commit

    def _ask(self, path: str) -> Answer:
        try:
            return ask(f"{self._endpoint}/{path}", self._timeout)
        except NoAnswer:
            raise _unreachable() from None


def _read_line(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _check_files(repository: str, siblings: Any) -> None:
    """Refuse at once what a worker would refuse after it was queued for an hour."""
    if not isinstance(siblings, list):
        return
    files = {item.get("rfilename") for item in siblings if isinstance(item, dict)}
    if not any(isinstance(file, str) and file.endswith(".safetensors") and "/" not in file for file in files):
        raise Unprocessable(
            f"{repository} has no weights in the safetensors format; pickled weights can run code.",
            code="no-safetensors",
            remedy="Choose a base model with a model.safetensors file.",
        )
    if "tokenizer.json" not in files:
        raise Unprocessable(
            f"{repository} has no tokenizer.json.",
            code="incomplete-base-model",
            remedy="Choose a base model with a fast tokenizer, or save one and configure its folder.",
        )


def _unreachable() -> AppError:
    return Unavailable(
        "The model hub does not answer, and no copy of this base model is on this machine.",
        code="hub-unreachable",
        remedy="Try again later; or use base_model minilm-l6, a folder named in TUNESMITH_BASE_MODELS, or a mirror "
        "in TUNESMITH_HUB_ENDPOINT.",
    )
