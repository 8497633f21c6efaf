"""Source ``twitter``: English tweets with three sentiments, from CardiffNLP's multilingual set."""

from pathlib import Path

from app.schemas.sources import TWITTER_DATASET, HubSource, TwitterSource
from worker.data.hub.repository import Hub
from worker.data.sources import hub as hub_source
from worker.data.sources.examples import Drawn

CONFIG = "english"
LABELS = ["negative", "neutral", "positive"]


def draw(wanted: TwitterSource, hub: Hub, scratch: Path) -> Drawn:
    """Download the tweets, in the splits of their authors. Raises JobFailure as the source ``hub`` does."""
    recipe = HubSource(dataset=TWITTER_DATASET, config=CONFIG, revision=wanted.revision, label_names=LABELS)
    drawn = hub_source.draw(recipe, hub, scratch)
    provenance = drawn.provenance.model_copy(
        update={"source": wanted.source, "options": wanted.model_dump(mode="json")}
    )
    return Drawn(drawn.examples, LABELS, provenance, drawn.policy)
