"""How this process serves: what waits, what is loaded, and how its batches were chosen."""

from typing import Literal

from app.schemas.base import Resource
from app.schemas.jobs import ServedFormat


class Queue(Resource):
    """What waits for inference."""

    texts: int
    """Texts that wait."""
    seconds: float
    """How long a new text would wait, estimated from the speed of each version."""
    longest_seconds: float
    """Requests are answered with 429 when ``seconds`` is more than this."""
    most_texts: int
    """Requests are answered with 429 when more texts than this would wait."""


class BatchTrial(Resource):
    """One shape of batch that was timed when the version was loaded."""

    texts: int
    """Texts in it."""
    length: int
    """Tokens of each."""
    milliseconds: float
    """The fastest of all tries."""
    tokens_per_second: float
    """How fast that is."""


class Batching(Resource):
    """What one batch of a version may be; measured on this machine when the version was loaded."""

    texts: int
    """Most texts."""
    tokens: int
    """Most tokens, padding included for what it costs; a single longer text goes alone."""
    call_tokens: float
    """What a call costs beside its tokens, counted in tokens; a text joins others if padding adds less than half."""
    padding_price: float
    """What a token of padding costs, counted in tokens: 1 where it is computed like any other, 0 where it is not."""
    trials: list[BatchTrial]
    """What it was chosen from: the smallest batch that is within 3 % of the fastest."""


class LoneTexts(Resource):
    """How a text that comes alone, while nothing else is computed, is answered by one version."""

    threads: int
    """Threads that compute it together, in a session of their own, where that is sooner than one. The session is opened
    after 16 such texts, and closed in the next pause or when texts come together."""
    bytes: int
    """Memory that the session takes while it is open."""
    state: Literal["closed", "open", "no-room"]
    """open: the session is there. no-room: TUNESMITH_SERVE_CACHE_MB leaves none, one thread computes all texts."""
    one_thread_ms_per_token: float | None
    """Milliseconds a token by one thread, a moving average; null: no text has come alone."""
    all_threads_ms_per_token: float | None
    """The same by all threads together; they are used where this is lower by a tenth. null: not used yet."""


class LoadedModel(Resource):
    """One version in memory, in one format."""

    model: str
    """Its model."""
    version: int
    """Its number."""
    format: ServedFormat
    """The format that answers."""
    bytes: int
    """Memory it takes."""
    calls_in_flight: int
    """Calls that it is answering; it is not let go meanwhile."""
    tokens_per_second: float
    """How fast one thread is with it: measured at first, then a moving average of its batches."""
    batching: Batching
    """How its texts are put into batches."""
    lone: LoneTexts | None
    """How a text that comes alone is computed; null: as any other, since the model is small or there is one thread."""


class ServedSplit(Resource):
    """How the calls of an alias are split in this process."""

    model: str
    """The model."""
    alias: str
    """The alias."""
    version: int
    """The version that it names."""
    tried: int
    """The version that is tried beside it."""
    role: Literal["canary", "shadow"]
    """canary: it answers a part of the calls. shadow: it is asked a part of them again, after the answer."""
    percent: float
    """How much of the calls."""
    state: Literal["loaded", "waiting", "refused"]
    """loaded: it has its part of the calls. waiting: it is not loaded, here or not yet. refused: it cannot be loaded.
    Until it is, ``version`` answers a canary's calls, and a shadow's are dropped."""
    code: str | None
    """Why it is refused."""


class Serving(Resource):
    """How one API process serves."""

    threads: int
    """Threads that run inference."""
    awaits_callers: bool
    """Whether callers ask again as soon as they are answered, so that threads wait for them."""
    queue: Queue
    """What waits for them."""
    versions: list[LoadedModel]
    """What is in memory, the longest unused first."""
    splits: list[ServedSplit]
    """How the calls of aliases with a canary or a shadow are split."""
