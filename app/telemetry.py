"""Every Prometheus metric of the product, each declared once; who observes it imports it from here."""

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_STAGE_BUCKETS = (0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

# HTTP
HTTP_REQUESTS = Counter("tunesmith_http_requests_total", "Answers given.", ["method", "route", "status"])
HTTP_SECONDS = Histogram(
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
DATASETS_STORED = Counter("tunesmith_datasets_stored_total", "Datasets accepted by this process.", ["format"])
DATASETS_REFUSED = Counter("tunesmith_datasets_refused_total", "Datasets refused by this process.", ["code"])

# Serving
PREDICT_REQUESTS = Counter("tunesmith_predict_requests_total", "Calls of POST /predict.", ["model", "version", "code"])
PREDICT_TEXTS = Counter("tunesmith_predict_texts_total", "Texts classified.")
PREDICT_TOKENS = Counter("tunesmith_predict_tokens_total", "Tokens of the texts classified.")
PREDICT_PADDED_TOKENS = Counter("tunesmith_predict_padded_tokens_total", "Tokens computed, padding included.")
PREDICT_SECONDS = Histogram(
    "tunesmith_predict_seconds", "Time by stage: queue, tokenize, infer, total.", ["stage"], buckets=_STAGE_BUCKETS
)
PREDICT_BATCH_ITEMS = Histogram(
    "tunesmith_predict_batch_items", "Texts in one forward pass.", buckets=(1, 2, 4, 8, 16, 32, 64)
)
PREDICT_QUEUE_ITEMS = Gauge("tunesmith_predict_queue_items", "Texts waiting for inference.")
PREDICT_DROPPED = Counter("tunesmith_predict_dropped_total", "Texts not classified.", ["reason"])
MODEL_CACHE_BYTES = Gauge("tunesmith_model_cache_bytes", "Memory taken by loaded model versions.")
MODEL_CACHE_LOADS = Counter("tunesmith_model_cache_loads_total", "Model versions loaded.", ["outcome"])
MODEL_CACHE_EVICTIONS = Counter("tunesmith_model_cache_evictions_total", "Model versions unloaded to make room.")
MODEL_NAMES_BEHIND = Gauge(
    "tunesmith_model_names_behind",
    "1 for each name that means a refused version and is answered by an older.",
    ["name"],
)
MODEL_LOAD_SECONDS = Histogram(
    "tunesmith_model_load_seconds", "Fetch, check, load and warm-up of one version.", buckets=_REQUEST_BUCKETS
)


def exposition() -> bytes:
    """Give the page that Prometheus reads."""
    return generate_latest(REGISTRY)
