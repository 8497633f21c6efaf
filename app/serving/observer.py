"""What becomes of answers besides being sent: only where the traffic of an alias says so, and never in their way."""

from collections.abc import Callable, Sequence

from app.schemas.predictions import Prediction
from app.serving.flushing import Flusher
from app.serving.live_tallies import LiveTallies
from app.serving.loaded import LoadedVersion
from app.serving.pool import Pool
from app.serving.prediction_log import PredictionLog
from app.serving.registry import Meaning
from app.serving.shadows import Shadows
from app.serving.tallies import ShadowTallies
from app.store.engine import Database


class Observer:
    """Takes note of answers; used from one event loop, writes from a thread."""

    def __init__(self, pool: Pool, database: Database, is_idle: Callable[[], bool]) -> None:
        tallies = ShadowTallies()
        self._log = PredictionLog()
        self._live = LiveTallies()
        self.flusher = Flusher(database, [self._log, tallies, self._live])
        self._shadows = Shadows(pool.shadows, tallies, is_idle, pool.spawn)
        self.flusher.start()

    def close(self) -> None:
        """Write what was counted and end."""
        self._shadows.close()
        self.flusher.close()

    def answered(
        self, meaning: Meaning, version: LoadedVersion, texts: Sequence[str], answers: Sequence[Prediction]
    ) -> None:
        """Take note of an answer that is about to be sent."""
        self._log.note(meaning, version.version, texts, answers)
        self._live.note(meaning, version.version, answers)
        self._shadows.offer(meaning, version.version, texts, answers)
