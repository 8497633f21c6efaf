"""Every setting of the product, typed and documented, read once from ``TUNESMITH_*`` variables and ``.env``."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.processors import Share, anywhere, dealt, usable_cpus

MIB = 1024 * 1024


class Settings(BaseSettings):
    """One machine needs none of these: the defaults are SQLite, an embedded Valkey and a local folder."""

    model_config = SettingsConfigDict(env_prefix="TUNESMITH_", env_file=".env", extra="ignore", frozen=True)

    # Where things are kept
    data_dir: Path = Field(
        Path("tunesmith-data"), description="Folder of the embedded defaults: database, artifacts, caches, logs."
    )
    database_url: str = Field("", description="sqlite:///PATH or postgresql://...; empty: SQLite in the data folder.")
    broker_url: str = Field(
        "embedded://", description="embedded:// starts a private Valkey; redis:// or rediss:// uses yours."
    )
    artifacts_url: str = Field(
        "", description="file:///PATH or s3://BUCKET/PREFIX; empty: artifacts/ in the data folder."
    )
    s3_endpoint_url: str = Field("", description="http(s) address of an S3 server of your own; empty: Amazon's.")
    s3_region: str = Field("", description="Region of the bucket; empty: what AWS_REGION or the machine says.")
    s3_access_key_id: SecretStr | None = Field(
        None, description="Key of access to the bucket; none: what the AWS_* variables or the machine's role say."
    )
    s3_secret_access_key: SecretStr | None = Field(None, description="The secret half of that key.")

    # The HTTP server
    host: str = Field("127.0.0.1", description="Address the API binds to.")
    port: int = Field(8000, ge=0, le=65535, description="Port the API binds to.")
    api_key: SecretStr | None = Field(
        None,
        description="A key that may do everything, besides those made with POST /keys. Required when host is not a "
        "loopback address.",
    )
    url: str = Field(
        "", description="Where the command line finds the service; empty: this machine's, at the port above."
    )
    allowed_hosts: list[str] = Field(["*"], description="Host headers the API answers to.")
    docs_enabled: bool = Field(True, description="Serve /docs and /openapi.json.")
    dashboard_enabled: bool = Field(True, description="Serve the dashboard, at / and under /ui.")

    # Base models
    base_models: dict[str, Path] = Field(
        default_factory=dict, description='Configured folders by name: {"house-bert": "/models/house-bert"}.'
    )
    allowed_base_models: list[str] = Field(["*"], description="Shell patterns of the hub ids that jobs may name.")
    hub_endpoint: str = Field("https://huggingface.co", description="Hugging Face hub, or a mirror of it.")
    hub_enabled: bool = Field(
        True, description="False: only minilm-l6, configured folders, cached hub models and own versions."
    )
    hub_timeout_seconds: float = Field(
        3.0, gt=0, description="How long POST /jobs waits for the hub to name a revision."
    )

    # Data
    synonyms_dir: Path | None = Field(
        None, description="Folder of LANG.json word lists for augmentation, or one such file; English is built in."
    )
    processed_dir: Path | None = Field(
        None, description="Folder that datasets which are already split may be imported from; none: no such import."
    )

    # Limits; each is a promise that a client is told when it breaks it
    max_body_bytes: int = Field(1 * MIB, ge=1024, description="Largest JSON body.")
    max_dataset_bytes: int = Field(512 * MIB, ge=1024, description="Largest dataset file.")
    max_dataset_rows: int = Field(2_000_000, ge=2, description="Most rows of one dataset.")
    max_text_chars: int = Field(200_000, ge=1, description="Longest text of a dataset row, in characters.")
    max_labels: int = Field(1_000, ge=2, description="Most classes of one dataset.")
    max_predict_texts: int = Field(64, ge=1, description="Most texts of one POST /predict.")
    max_predict_chars: int = Field(200_000, ge=1, description="Longest text of POST /predict, in characters.")
    max_queued_jobs: int = Field(1_000, ge=1, description="Jobs that may wait; one more is answered with 429.")
    idempotency_hours: int = Field(24, ge=1, description="How long an Idempotency-Key is remembered.")

    # Serving
    serve_threads: int = Field(0, ge=0, description="Threads that run inference; 0: one a processor that may be used.")
    serve_own_cores: bool = Field(
        True,
        description="Keep each of those threads on a core of its own; false where other services are as busy.",
    )
    serve_cache_mb: int = Field(2048, ge=16, description="Memory that loaded model versions may take together.")
    serve_queue_ms: int = Field(500, ge=10, description="Longest wait for inference that is accepted; beyond it 429.")
    serve_pinned: list[str] = Field(
        ["champion"], description="Aliases whose versions are loaded at start, and let go last when memory is short."
    )
    serve_preload_seconds: float = Field(
        30.0, ge=0, description="How long GET /readyz waits at start for the versions of those aliases."
    )
    serve_queue_items: int = Field(2048, ge=1, description="Texts that may wait for inference; beyond it 429.")
    serve_refusal_hold_ms: int = Field(
        150,
        ge=0,
        le=5_000,
        description="How long an answer 429 is held back, so that who asks at once again waits.",
    )
    serve_refusals_held: int = Field(
        512, ge=0, description="Answers 429 that are held back at a time; others go out at once."
    )
    registry_refresh_seconds: float = Field(1.0, gt=0, description="How soon a new version or a moved alias is seen.")

    # Jobs and workers
    lease_seconds: float = Field(60.0, gt=0, description="How long a silent worker keeps its job.")
    heartbeat_seconds: float = Field(
        5.0, gt=0, description="How often a worker renews its lease and hears of a cancel."
    )
    poll_seconds: float = Field(
        5.0, gt=0, description="How often an idle worker looks into SQL, whatever the broker does."
    )
    sweep_seconds: float = Field(
        5.0, gt=0, description="How often each process rings again and takes back expired leases."
    )
    cancel_grace_seconds: float = Field(
        8.0, gt=0, description="Time between SIGTERM and SIGKILL for the training process of a cancelled job."
    )
    drain_grace_seconds: float = Field(
        20.0,
        gt=0,
        description="The same where a worker shuts down: time to end a step and save it, so that nothing is repeated.",
    )
    stall_seconds: float = Field(
        900.0, gt=0, description="A running job without a sign of progress for this long is taken for hung."
    )
    budget_grace_seconds: float = Field(
        120.0,
        gt=0,
        description="How much longer than max_train_seconds or max_gpu_seconds a process may train that should have "
        "ended by itself, besides twice its longest pause between two steps.",
    )
    checkpoint_seconds: float = Field(
        60.0,
        gt=0,
        description="How often training is saved: what the loss of a worker may cost of it. Where saving would take "
        "more than a twentieth of the time, it is done less often.",
    )
    max_attempts: int = Field(3, ge=1, description="Crashes after which a job is failed for good.")
    worker_slots: int = Field(
        1,
        ge=1,
        description="Jobs one worker process runs at a time: one a GPU, or fewer where jobs are to train on several.",
    )
    worker_threads: int = Field(0, ge=0, description="CPU threads of a training process; 0: measured at start.")
    worker_metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port at which this worker gives its metrics to Prometheus, without a key, at the address host; "
        "none: it does not.",
    )
    batch_predictions: bool = Field(True, description="Whether this worker also takes batch predictions.")
    batch_threads: int = Field(
        0, ge=0, description="CPU threads of a batch prediction; 0: all that the worker may use."
    )
    batch_chunk_rows: int = Field(
        2000, ge=1, description="Most rows of a batch prediction that a lost worker costs; ten seconds' work at most."
    )
    warm_spare: bool = Field(True, description="Keep one interpreter with torch imported ready for the next job.")

    # Tracking: where runs are shown besides this service
    trackers: list[Literal["tensorboard", "mlflow", "wandb"]] = Field(
        ["tensorboard"], description="Where workers show runs: tensorboard, mlflow, wandb; the last two are extras."
    )
    tensorboard_dir: Path | None = Field(
        None, description="Folder of live TensorBoard event files, MODEL/JOB each; none: runs/ in the data folder."
    )
    mlflow_tracking_uri: str = Field(
        "", description="MLflow server or database, such as sqlite:////PATH; empty: what MLFLOW_TRACKING_URI says."
    )
    mlflow_experiment: str = Field("tunesmith", min_length=1, description="Experiment of MLflow that runs belong to.")
    wandb_project: str = Field("tunesmith", min_length=1, description="Project of Weights & Biases for runs.")
    wandb_entity: str = Field("", description="Team or user of Weights & Biases; empty: the key's own.")
    wandb_mode: Literal["online", "offline"] = Field(
        "online", description="offline: runs are kept in wandb/ in the data folder, to be sent by wandb sync."
    )

    log_format: str = Field(
        "auto", pattern="^(auto|json|console)$", description="json, console, or auto: console on a terminal, else json."
    )
    log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR: what is logged."
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def resolved_database_url(self) -> str:
        """Give the database URL with the embedded default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir / 'tunesmith.db'}"

    @property
    def serve_shares(self) -> tuple[Share, ...]:
        """Where each thread that runs inference does so."""
        threads = self.serve_threads or usable_cpus()
        return dealt(threads) if self.serve_own_cores else anywhere(threads)

    @property
    def resolved_artifacts_url(self) -> str:
        """Give the artifact store URL with the embedded default filled in."""
        return self.artifacts_url or (self.data_dir / "artifacts").as_uri()

    @property
    def hub_cache_dir(self) -> Path:
        """Folder of downloaded hub models."""
        return self.data_dir / "cache" / "hub"

    @property
    def worker_cache_dir(self) -> Path:
        """Folder of what workers keep from one attempt to the next."""
        return self.data_dir / "cache" / "worker"

    @property
    def work_dir(self) -> Path:
        """Folder of the attempts: one private folder each, removed at its end."""
        return self.data_dir / "work"


@lru_cache
def get_settings() -> Settings:
    """Read the settings once per process."""
    return Settings()
