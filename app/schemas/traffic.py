"""Traffic: how the calls of an alias are split between the version it names and one that is tried."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from app.schemas.base import Resource, StrictModel
from app.schemas.models import Reason

Percent = Annotated[float, Field(gt=0, le=100)]
VersionNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]
Prefer = Literal["speed", "accuracy"]
RoutingKey = Annotated[str, Field(min_length=1, max_length=200)]


class Canary(StrictModel):
    """A version that answers a part of the calls."""

    version: VersionNumber
    """The number of an existing version, another one than the alias names."""
    percent: Percent
    """How much of the calls it answers, more than 0 and at most 100. To raise it moves callers with a routing key only
    towards the canary, to lower it only back."""


class Shadow(StrictModel):
    """A version that answers nobody, and is asked what was asked of the alias, after the answer."""

    version: VersionNumber
    """The number of an existing version, another one than the alias names."""
    percent: Percent
    """How much of the calls it is asked again, more than 0 and at most 100."""


class Log(StrictModel):
    """Which answers are kept, so that somebody can say later whether they were right."""

    percent: Percent
    """How much of the texts, more than 0 and at most 100; each is drawn by itself."""
    keep_text: bool = False
    """Whether the text is kept too; without it only label, probability and length are."""
    redact: bool = True
    """Whether links, e-mail addresses, mentions, telephone and other long numbers are taken out of a text before it is
    kept. Names and streets are not found."""
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days after which a logged answer and its feedback are forgotten."""


class DriftWatch(StrictModel):
    """Which answers are counted by label, confidence and length, to be compared with those to the test rows."""

    percent: Percent = 100.0
    """How much of the texts, more than 0 and at most 100; each is drawn by itself, and none is kept."""


class Traffic(StrictModel):
    """What happens to the calls of an alias besides being answered by the version that it names."""

    canary: Canary | None = None
    """A version that answers a part of them; null: none does."""
    shadow: Shadow | None = None
    """A version that is compared with those that answer; null: none is."""
    log: Log | None = None
    """Which answers are kept for feedback; null: none are."""
    drift: DriftWatch | None = None
    """Which answers are counted for drift; null: none are."""
    prefer: Prefer | None = None
    """Which format answers calls that do not say what they prefer, as ``prefer`` of a request does; null: the one that
    the job of the version chose. It stays when the alias moves."""

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but the version that the alias names."""
        return self == Traffic()


class TrafficWish(Traffic):
    """How the calls of an alias are to be split from now on; it replaces all that was said before."""

    force: bool = False
    """Split even if the policy of the alias says no; the history tells who did and why."""
    reason: Reason | None = None
    """Why, for the history; needed to force."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.force and self.reason is None:
            raise ValueError("force needs reason; say why the policy is overruled")
        if self.traffic.is_plain:
            raise ValueError(
                "canary, shadow, log, drift or prefer is missing; to end the traffic of an alias, DELETE it"
            )
        return self

    @property
    def traffic(self) -> Traffic:
        """Give what is kept of it."""
        return Traffic.model_validate(self.model_dump(include=set(Traffic.model_fields)))


class AliasTraffic(Resource):
    """How the calls of an alias are split now."""

    alias: str
    """The alias."""
    version: int
    """The version that it names: it answers whatever is not said to go elsewhere."""
    traffic: Traffic
    """How its calls are split."""
    revision: int
    """Grows with each change; the ETag that ``If-Match`` wants."""
    updated_at: datetime
    """When it was last changed."""
    updated_by: str
    """Who changed it: ``api-key``, or ``anonymous`` where the service has no key."""


class LabelPair(Resource):
    """How often one label was answered and the shadow would have said another."""

    answered: str | None
    """What was answered; null: a label of the shadow's set that was not in the answer's."""
    shadow: str | None
    """What the shadow would have said; null: a label of the answer's set that was not in the shadow's."""
    texts: int
    """On how many texts."""


class ShadowReport(Resource):
    """How two versions compare on what was asked of an alias."""

    answered_version: int
    """The version that answered: what the alias named, or its canary."""
    shadow_version: int
    """The version that was asked after it."""
    since: datetime
    """When the first of these was counted."""
    until: datetime
    """When the last of these was counted."""
    compared: int
    """Texts that both were asked."""
    agreed: int
    """Texts on which both say the same label; of multi_label, the same set of labels."""
    agreement: float | None
    """The share of them, 0 to 1; null: nothing was compared."""
    mean_difference: float | None
    """How far the probabilities are apart that both give to the label that was answered, on the average, 0 to 1."""
    dropped: dict[str, int]
    """Texts that were to be compared and were not, by reason. busy: the server had to answer others. not-loaded: the
    shadow was not in memory. failed: it could not answer."""
    differing: list[LabelPair]
    """Where they differ, the most frequent first, 100 at most; of multi_label, label by label."""
    same: dict[str, int]
    """Texts on which both say a label, by label, the most frequent first."""


class TrafficReport(Resource):
    """What the shadows of an alias would have said."""

    alias: str
    """The alias."""
    pairs: list[ShadowReport]
    """One for each two versions that were compared, the newest shadow first."""
