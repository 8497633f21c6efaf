"""Which files of a repository make up which split, as the ``datasets`` library sees it, before any is downloaded.

The library is shown a folder of empty files with the repository's names and a cleaned card: so nothing of the card can
point outside of it, and its rules for names of splits need not be repeated here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import datasets
from datasets.data_files import EmptyDatasetError
from datasets.exceptions import DataFilesNotFoundError
from huggingface_hub.repocard import metadata_save

from app.errors import JobFailure, nearest
from worker.data.hub.repository import CARD

READERS = ("parquet", "json", "csv")
EXTENSIONS = (".parquet", ".jsonl", ".json", ".ndjson", ".csv", ".tsv")
_NOT_DATA = frozenset({"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"})
_READER_OPTIONS = ("sep", "delimiter", "field")
"""What a card may say to a reader; all of them plain strings."""
_DEFAULT = "default"

Card = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """One configuration of a dataset."""

    config: str
    splits: Mapping[str, Sequence[str]]
    """Names of files, by the hub's name of the split."""
    entry: Mapping[str, Any]
    """The configuration's entry in the card, without its files."""
    info: Mapping[str, Any] | None
    """Types of the columns, as the card says."""


def make_plan(dataset: str, names: Sequence[str], card: Card, config: str | None, scratch: Path) -> Plan:
    """Find the files of ``config`` among ``names``; ``scratch`` is an empty folder to do it in.

    Raises JobFailure ``no-data-files``, ``unknown-config``, ``config-needed``.
    """
    data_files = [name for name in names if _is_data(name)]
    if not data_files:
        raise no_data_files(dataset, names)
    entries = _entries(card)
    chosen = _choose(dataset, entries, data_files, config)
    entry = entries.get(chosen) or ({"data_dir": config} if config else {})
    info = _info(card, chosen)
    for name in data_files:
        place = scratch / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    write_card(scratch, chosen, entry, info)
    return Plan(chosen, _resolve(dataset, names, scratch, chosen), _reader_options(entry), info)


def write_card(folder: Path, config: str, entry: Mapping[str, Any], info: Mapping[str, Any] | None) -> None:
    """Write a card with one configuration."""
    content: dict[str, Any] = {"configs": [{"config_name": config, **entry}]}
    if info is not None:
        content["dataset_info"] = [dict(info)]
    metadata_save(folder / CARD, content)


def no_data_files(dataset: str, names: Sequence[str]) -> JobFailure:
    """Give the failure of a repository without a table that can be read."""
    kinds = sorted({"".join(PurePosixPath(name).suffixes[-2:]) for name in names} - {"", ".md", ".gitattributes"})
    script = any(name.endswith(".py") for name in names)
    return JobFailure(
        detail=f"{dataset} has no Parquet, JSON or CSV files"
        + (f", only {', '.join(kinds[:10])}" if kinds else "")
        + (": it is made by a script, and scripts from the hub are never run." if script else "."),
        code="no-data-files",
        remedy="Name a revision that holds data files, such as refs/convert/parquet, or upload the dataset as a file.",
        kind="user",
    )


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__")) for part in path.parts)
    return path.suffix in EXTENSIONS and path.name not in _NOT_DATA and not hidden


def _entries(card: Card) -> dict[str, dict[str, Any]]:
    """Give the configurations of a card that stay inside the repository, by name."""
    found = card.get("configs")
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    return {
        name: {key: entry[key] for key in ("data_files", "data_dir", "default", *_READER_OPTIONS) if key in entry}
        for entry in entries
        if isinstance(name := entry.get("config_name"), str) and all(map(_stays_inside, _patterns(entry)))
    }


def _patterns(entry: Mapping[str, Any]) -> list[Any]:
    """Give every path or pattern of a configuration, however deep it stands."""
    patterns, open_values = [], [entry.get("data_files"), entry.get("data_dir")]
    while open_values:
        value = open_values.pop()
        if isinstance(value, dict):
            # {"split": ..., "path": ...} is one form, {"train": ...} the other.
            open_values.extend([value["path"]] if "path" in value else value.values())
        elif isinstance(value, list):
            open_values.extend(value)
        elif value is not None:
            patterns.append(value)
    return patterns


def _stays_inside(pattern: Any) -> bool:
    if not isinstance(pattern, str):
        return False
    parts = PurePosixPath(pattern).parts
    return ".." not in parts and not pattern.startswith(("/", "~")) and not any(part in pattern for part in (":", "\\"))


def _choose(dataset: str, entries: Mapping[str, Mapping[str, Any]], names: Sequence[str], config: str | None) -> str:
    if config is not None:
        folders = {PurePosixPath(name).parts[0] for name in names if "/" in name}
        if config in entries or (not entries and config in folders):
            return config
        raise _unknown_config(dataset, config, sorted(entries or folders))
    standard = [name for name, entry in entries.items() if entry.get("default") is True or name == _DEFAULT]
    if len(entries) <= 1:
        return next(iter(entries), _DEFAULT)
    if len(standard) == 1:
        return standard[0]
    raise JobFailure(
        detail=f"{dataset} has {len(entries)} configurations: {', '.join(sorted(entries)[:20])}.",
        code="config-needed",
        remedy="Name one of them as config.",
        kind="user",
    )


def _unknown_config(dataset: str, config: str, known: Sequence[str]) -> JobFailure:
    meant = nearest(config, known)
    return JobFailure(
        detail=f"{dataset} has no configuration {config!r}"
        + (f", but {', '.join(known[:20])}." if known else "; it has none at all."),
        code="unknown-config",
        remedy=f"Did you mean {meant!r}?" if meant else "Name one of them, or leave config out.",
        kind="user",
    )


def _info(card: Card, config: str) -> dict[str, Any] | None:
    """Give the types of the columns; what the card says of sizes is of no use for a part of the files."""
    found = card.get("dataset_info")
    infos = [info for info in (found if isinstance(found, list) else [found]) if isinstance(info, dict)]
    fitting = [info for info in infos if info.get("config_name", _DEFAULT) == config] or (
        infos if len(infos) == 1 else []
    )
    if not fitting or not isinstance(fitting[0].get("features"), list):
        return None
    return {"config_name": config, "features": fitting[0]["features"]}


def _reader_options(entry: Mapping[str, Any]) -> dict[str, str]:
    return {key: entry[key] for key in _READER_OPTIONS if isinstance(entry.get(key), str)}


def _resolve(dataset: str, names: Sequence[str], folder: Path, config: str) -> dict[str, list[str]]:
    """Let the library look at the folder; ``{split: names of files}``."""
    try:
        builder = datasets.load_dataset_builder(str(folder), name=config, cache_dir=str(folder / ".cache"))
    except (EmptyDatasetError, DataFilesNotFoundError, FileNotFoundError, ValueError) as error:
        raise no_data_files(dataset, names) from error
    root = folder.resolve()
    found = {
        str(split): [Path(file).resolve().relative_to(root).as_posix() for file in files]
        for split, files in (builder.config.data_files or {}).items()
    }
    if type(builder).__module__.split(".")[-1] not in READERS or not any(found.values()):
        raise no_data_files(dataset, names)
    return found
