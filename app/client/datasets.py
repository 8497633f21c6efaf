"""Datasets, and the imports that fetch them."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.client.calls import LONG_POLL_SECONDS, Calls
from app.schemas.datasets import Dataset, FileFormat, SplitName, StoredRow
from app.schemas.sources import Import, ImportRequest


class DatasetCalls(Calls):
    """What there is to learn from."""

    def upload_dataset(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        text_column: str | None = None,
        label_column: str | None = None,
        split_column: str | None = None,
        label_delimiter: str | None = None,
        difficulty_column: str | None = None,
        slice_columns: Sequence[str] | None = None,
        label_names: Sequence[str] | Mapping[str, str] | None = None,
        format: FileFormat | None = None,
        validation_fraction: float | None = None,
        test_fraction: float | None = None,
        seed: int | None = None,
    ) -> Dataset:
        """Upload a CSV, TSV, JSON, JSONL or Parquet file; what is left out stays as the service has it by default."""
        options = {
            "name": name,
            "text_column": text_column,
            "label_column": label_column,
            "split_column": split_column,
            "label_delimiter": label_delimiter,
            "difficulty_column": difficulty_column,
            "slice_columns": None if slice_columns is None else json.dumps(list(slice_columns)),
            "label_names": None if label_names is None else json.dumps(label_names),
            "format": format,
            "validation_fraction": validation_fraction,
            "test_fraction": test_fraction,
            "seed": seed,
        }
        fields = {field: str(value) for field, value in options.items() if value is not None}
        with Path(path).open("rb") as file:
            return self._post(Dataset, "/datasets", files={"file": (Path(path).name, file)}, data=fields)

    def datasets(self, *, limit: int | None = None) -> Iterator[Dataset]:
        """Go through the datasets, newest first."""
        return self._pages(Dataset, "/datasets", limit)

    def dataset(self, dataset_id: str) -> Dataset:
        """Get one dataset."""
        return self._get(Dataset, f"/datasets/{dataset_id}")

    def rows(
        self, dataset_id: str, *, split: SplitName | None = None, label: str | None = None, limit: int | None = None
    ) -> Iterator[StoredRow]:
        """Go through the rows as they are trained on, in the order of the file."""
        wishes = {"split": split, "label": label}
        params = {key: value for key, value in wishes.items() if value is not None}
        return self._pages(StoredRow, f"/datasets/{dataset_id}/rows", limit, params)

    def delete_dataset(self, dataset_id: str) -> None:
        """Delete a dataset that no job refers to."""
        self._transport.send("DELETE", f"/datasets/{dataset_id}")

    def import_dataset(self, source: Mapping[str, Any], *, name: str | None = None) -> Import:
        """Have a worker fetch a dataset; ``source`` is the ``from`` of ImportRequest: ``{"source": "twitter"}``."""
        request = ImportRequest.model_validate({"name": name, "from": dict(source)})
        body = request.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return self._post(Import, "/datasets/import", json=body)

    def imports(self, *, limit: int | None = None) -> Iterator[Import]:
        """Go through the imports, newest first."""
        return self._pages(Import, "/datasets/imports", limit)

    def wait_for_import(self, import_id: str, *, seconds: float = LONG_POLL_SECONDS) -> Import:
        """Get an import when it has ended, or after ``seconds``, at most a minute."""
        headers = {"Prefer": f"wait={math.ceil(seconds)}"}
        return self._get(Import, f"/datasets/imports/{import_id}", headers=headers)
