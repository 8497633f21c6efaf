"""One version in memory, warmed up and measured."""

from dataclasses import dataclass, field

from app.schemas.jobs import ServedFormat
from app.serving.policy import measure
from app.serving.predictor import Predictor
from app.serving.waiting import Gauge


@dataclass(slots=True)
class LoadedVersion:
    """One version in memory, in one format."""

    model: str
    version: int
    predictor: Predictor
    bytes: int
    gauge: Gauge = field(default_factory=Gauge)
    users: int = 0
    """Calls in flight; a version in use is never let go."""

    @property
    def format(self) -> ServedFormat:
        """Name the format that answers."""
        return self.predictor.manifest.serve


def warm_up(version: LoadedVersion) -> None:
    """Run the version in batches of several shapes, so that the first caller pays nothing, and note what is fast."""
    version.gauge.begin(measure(version.predictor))
