"""The ORM classes: rows, constraints and indexes, and nothing that acts on them."""

from app.store.tables.base import Base, UtcDateTime
from app.store.tables.datasets import Dataset
from app.store.tables.errands import BatchChunk, BatchEvent, BatchPrediction, Import
from app.store.tables.jobs import Job, JobDataset, JobEvent, MetricPoint
from app.store.tables.keys import ApiKey
from app.store.tables.registry import AliasMove, AliasPolicy, DiscardedArtifact, Model, ModelAlias, ModelVersion
from app.store.tables.service import IdempotencyKey, Worker
from app.store.tables.traffic import AliasTraffic, LiveCount, LoggedPrediction, ShadowCount

__all__ = [
    "AliasMove",
    "AliasPolicy",
    "AliasTraffic",
    "ApiKey",
    "Base",
    "BatchChunk",
    "BatchEvent",
    "BatchPrediction",
    "Dataset",
    "DiscardedArtifact",
    "IdempotencyKey",
    "Import",
    "Job",
    "JobDataset",
    "JobEvent",
    "LiveCount",
    "LoggedPrediction",
    "MetricPoint",
    "Model",
    "ModelAlias",
    "ModelVersion",
    "ShadowCount",
    "UtcDateTime",
    "Worker",
]
