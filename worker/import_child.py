"""The process that fetches a dataset: it may be killed at any moment, and its heavy libraries go with it.

``python -m worker.import_child --events-fd 5 --parent 4242`` reads one ``ImportOrder`` from stdin and answers with one
line.
"""

import argparse
import os
import sys
import traceback

from app.errors import AppError
from app.preflight.messages import ROWS, UPLOAD, Accepted, Order
from app.preflight.parse import parse
from app.schemas.datasets import DatasetOptions
from app.schemas.provenance import Provenance
from app.schemas.sources import ImportRecord
from worker.child import die_with_parent, leave, volunteer_for_oom_killer
from worker.data.hub.repository import Hub
from worker.data.sources import Surroundings, import_rows
from worker.failures import from_app_error, import_crashed, is_disk_full, storage_full
from worker.import_messages import Imported, ImportOrder


def fetch(order: ImportOrder) -> Imported:
    """Fetch, check and split a dataset; a failure becomes the import's error."""
    try:
        return _fetch(order)
    except AppError as error:
        return Imported(error=from_app_error(error).as_dict(None))
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent turns it into words
        traceback.print_exc()
        failure = storage_full("the import") if is_disk_full(error) else import_crashed(type(error).__name__)
        return Imported(error=failure.as_dict(None))


def _fetch(order: ImportOrder) -> Imported:
    scratch, upload = order.folder / "scratch", order.folder / UPLOAD
    scratch.mkdir()
    hub = Hub(
        endpoint=order.hub_endpoint,
        cache_dir=order.cache_dir,
        enabled=order.hub_enabled,
        max_bytes=order.max_bytes,
    )
    surroundings = Surroundings(hub=hub, limits=order.limits, processed_dir=order.processed_dir)
    record = import_rows(order.request.from_, surroundings, upload, scratch=scratch)
    accepted = _checked(order, record)
    # The rows as they were drawn: the same ones, and what a source says besides, such as their difficulty or slices.
    upload.replace(order.folder / ROWS)
    accepted = accepted.model_copy(update={"sha256": record.rows_sha256, "bytes": record.bytes})
    accepted.profile.slices = record.slices
    provenance = Provenance.model_validate(record.model_dump(include=set(Provenance.model_fields)))
    left_out = [f"{count} rows of the source were left out: {reason}." for reason, count in record.skipped.items()]
    provenance.notes = [*provenance.notes, *left_out]
    return Imported(accepted=accepted, provenance=provenance)


def _checked(order: ImportOrder, record: ImportRecord) -> Accepted:
    """Put the rows through the checks of an upload, which also describe them."""
    options = DatasetOptions(
        name=order.request.name,
        format="jsonl",
        label_column="label" if record.problem_type == "single_label" else "labels",
        label_names=record.labels,
        difficulty_column="difficulty" if record.has_difficulties else None,
    )
    return parse(order.folder, Order(options=options, limits=order.limits))


def main() -> None:
    """Answer one order."""
    parser = argparse.ArgumentParser(prog="python -m worker.import_child", description=__doc__)
    parser.add_argument("--events-fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    options = parser.parse_args()
    die_with_parent(options.parent)
    volunteer_for_oom_killer()
    imported = fetch(ImportOrder.model_validate_json(sys.stdin.buffer.readline()))
    os.write(options.events_fd, imported.model_dump_json().encode() + b"\n")
    leave(0)


if __name__ == "__main__":
    main()
