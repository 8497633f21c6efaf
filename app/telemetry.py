"""Every Prometheus metric of the product, each declared once; who observes it imports it from here."""

from functools import cache

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest, start_http_server

from app.meters import Spread, SpreadFamily, Tally, TallyFamily

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_STAGE_BUCKETS = (0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

# HTTP
HTTP_REQUESTS = TallyFamily("tunesmith_http_requests_total", "Answers given.", ["method", "route", "status"])
HTTP_SECONDS = SpreadFamily(
    "tunesmith_http_request_seconds",
    "Time from the request line to the last byte of the answer.",
    ["method", "route"],
    buckets=_REQUEST_BUCKETS,
)

# Jobs and workers; gauges are read from SQL when somebody asks
JOBS = Gauge("tunesmith_jobs", "Jobs by status.", ["status"])
WORKERS_ALIVE = Gauge("tunesmith_workers_alive", "Workers that gave a sign of life lately.")
JOBS_SUBMITTED = Counter("tunesmith_jobs_submitted_total", "Jobs accepted by this process.", ["kind"])
JOBS_RESCUED = Counter("tunesmith_jobs_rescued_total", "Expired leases taken back by this process.", ["status"])
DOORBELL_RINGS = Counter("tunesmith_doorbell_rings_total", "Messages sent to the broker.", ["outcome"])
REGISTRY_HINTS = Counter(
    "tunesmith_registry_hints_total", "Words between API processes that the registry has changed.", ["outcome"]
)
LISTENER_RESTARTS = Counter(
    "tunesmith_listener_restarts_total", "Listeners of a worker started anew because they heard no doorbell."
)
DATASETS_STORED = Counter("tunesmith_datasets_stored_total", "Datasets accepted by this process.", ["format"])
DATASETS_REFUSED = Counter("tunesmith_datasets_refused_total", "Datasets refused by this process.", ["code"])

# Serving; models and versions are those that exist, "" where none was found or looked for
_VERSION = ["model", "version"]
PREDICT_REQUESTS = TallyFamily("tunesmith_predict_requests_total", "Calls for predictions.", [*_VERSION, "code"])
PREDICT_TEXTS = TallyFamily("tunesmith_predict_texts_total", "Texts classified.", _VERSION)
PREDICT_TOKENS = TallyFamily("tunesmith_predict_tokens_total", "Tokens of the texts classified.", _VERSION)
PREDICT_PADDED_TOKENS = TallyFamily(
    "tunesmith_predict_padded_tokens_total", "Tokens of batches, padding and all.", _VERSION
)
PREDICT_SECONDS = SpreadFamily(
    "tunesmith_predict_seconds",
    "Time by stage: queue, tokenize, infer, total.",
    [*_VERSION, "stage"],
    buckets=_STAGE_BUCKETS,
)
PREDICT_BATCH_ITEMS = SpreadFamily(
    "tunesmith_predict_batch_items", "Texts in one forward pass.", _VERSION, buckets=(1, 2, 4, 8, 16)
)
PREDICT_BATCH_TOKENS = SpreadFamily(
    "tunesmith_predict_batch_tokens",
    "Tokens in one forward pass, padding included.",
    _VERSION,
    buckets=(16, 32, 64, 128, 256, 512, 1024, 4096),
)
PREDICT_QUEUE_ITEMS = Gauge("tunesmith_predict_queue_items", "Texts waiting for inference.")
PREDICT_QUEUE_SECONDS = Gauge("tunesmith_predict_queue_seconds", "How long a new text would wait, estimated.")
PREDICT_REFUSALS_HELD = Gauge("tunesmith_predict_refusals_held", "Refused calls whose answer is being held back.")
PREDICT_DROPPED = Counter(
    "tunesmith_predict_dropped_total",
    "Texts not classified: overloaded, expired, cancelled, failed. A call refused unread counts as one text.",
    [*_VERSION, "reason"],
)
MODEL_CACHE_BYTES = Gauge("tunesmith_model_cache_bytes", "Memory taken by loaded model versions.")
MODEL_BYTES = Gauge("tunesmith_model_bytes", "Memory taken by one loaded version.", [*_VERSION, "format"])
MODEL_CACHE_LOADS = Counter("tunesmith_model_cache_loads_total", "Model versions loaded.", ["outcome"])
MODEL_CACHE_EVICTIONS = Counter("tunesmith_model_cache_evictions_total", "Model versions unloaded to make room.")
MODEL_NAMES_BEHIND = Gauge(
    "tunesmith_model_names_behind",
    "1 for each name that means a refused version and is answered by an older.",
    ["name"],
)
CANARY_CALLS = Counter(
    "tunesmith_canary_calls_total",
    "Calls that fell to a canary: answered by it, or by what the alias names as it is not loaded (fallback).",
    ["model", "alias", "version", "outcome"],
)
SHADOW_TEXTS = Counter(
    "tunesmith_shadow_texts_total",
    "Texts for shadows: compared, or dropped (busy, not-loaded, failed).",
    ["model", "alias", "version", "outcome"],
)
PREDICTIONS_LOGGED = Counter(
    "tunesmith_predictions_logged_total",
    "Answers for the log of an alias: written, or dropped while the database was away.",
    ["model", "alias", "outcome"],
)
MODEL_LOAD_SECONDS = Histogram(
    "tunesmith_model_load_seconds", "Fetch, check, load and warm-up of one version.", buckets=_REQUEST_BUCKETS
)


class VersionMeters:
    """The metrics of one version, looked up once: finding them by their labels costs more than counting.

    Used from the event loop.
    """

    def __init__(self, model: str, version: int) -> None:
        names = (model, str(version))
        self._answered = PREDICT_REQUESTS.labels(*names, "ok")
        self._texts = PREDICT_TEXTS.labels(*names)
        self._tokens = PREDICT_TOKENS.labels(*names)
        self._padded = PREDICT_PADDED_TOKENS.labels(*names)
        self._batch_items = PREDICT_BATCH_ITEMS.labels(*names)
        self._batch_tokens = PREDICT_BATCH_TOKENS.labels(*names)
        self._queue, self._tokenize, self._infer, self._total = (
            PREDICT_SECONDS.labels(*names, stage) for stage in ("queue", "tokenize", "infer", "total")
        )

    def batch(self, items: int, tokens: int, padded: int) -> None:
        """Count a forward pass."""
        self._batch_items.observe(items)
        self._batch_tokens.observe(padded)
        self._tokens.inc(tokens)
        self._padded.inc(padded)

    def answered(self, texts: int, *, queue_ms: float, tokenize_ms: float, infer_ms: float, total_ms: float) -> None:
        """Count a call that was answered."""
        self._answered.inc()
        self._texts.inc(texts)
        self._queue.observe(queue_ms / 1e3)
        self._tokenize.observe(tokenize_ms / 1e3)
        self._infer.observe(infer_ms / 1e3)
        self._total.observe(total_ms / 1e3)


@cache
def meters_of(model: str, version: int) -> VersionMeters:
    """Give the metrics of a version that exists."""
    return VersionMeters(model, version)


def count_dropped(reason: str, texts: int, model: str = "", version: int | str = "") -> None:
    """Count texts that were not classified."""
    PREDICT_DROPPED.labels(model, str(version), reason).inc(texts)


@cache
def http_meters(method: str, route: str, status: int) -> tuple[Tally, Spread]:
    """Give the counter and the times of a kind of answer; there are only so many of each."""
    return HTTP_REQUESTS.labels(method, route, str(status)), HTTP_SECONDS.labels(method, route)


def serve(host: str, port: int) -> int:
    """Answer Prometheus from a thread, in a process that has no API; gives the port, which 0 leaves to the system.

    Raises OSError.
    """
    server, _ = start_http_server(port, host)
    return int(server.server_port)


def exposition() -> bytes:
    """Give the page that Prometheus reads."""
    return generate_latest(REGISTRY)
