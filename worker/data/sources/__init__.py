"""The registry of sources: from each of them come canonical rows, and a record of their origin."""

from dataclasses import dataclass
from pathlib import Path

from app.preflight.messages import Limits
from app.schemas.sources import HubSource, ImportRecord, ImportSource, ProcessedSource, TrustpilotSource, TwitterSource
from worker.data.hub.repository import Hub
from worker.data.sources import hub as hub_source
from worker.data.sources import processed, trustpilot, twitter
from worker.data.sources.canonical import write_rows
from worker.data.sources.examples import Drawn


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the operator's settings say about sources."""

    hub: Hub
    limits: Limits
    processed_dir: Path | None = None


def import_rows(wanted: ImportSource, surroundings: Surroundings, file: Path, *, scratch: Path) -> ImportRecord:
    """Fetch a dataset and write its canonical rows to ``file``; ``scratch`` is an empty folder for the work.

    Raises JobFailure for everything that can go wrong.
    """
    return write_rows(draw(wanted, surroundings, scratch), file, surroundings.limits)


def draw(wanted: ImportSource, surroundings: Surroundings, scratch: Path) -> Drawn:
    """Give the rows of any source; a new source is one file and one line here."""
    match wanted:
        case HubSource():
            return hub_source.draw(wanted, surroundings.hub, scratch)
        case TwitterSource():
            return twitter.draw(wanted, surroundings.hub, scratch)
        case TrustpilotSource():
            return trustpilot.draw(wanted, surroundings.hub, scratch)
        case ProcessedSource():
            return processed.draw(wanted, surroundings.processed_dir)
