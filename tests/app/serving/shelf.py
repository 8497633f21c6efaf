"""A registry with versions that really compute, without an API and without a worker: rows and artifacts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx

from app.artifacts.bundle import GOLDEN, MANIFEST, SERVED_FILES, Bundle, describe_files, sha256_of
from app.artifacts.store import open_store, put_bundle
from app.schemas.jobs import BaseModelRef, ServedFormat, TrainJobRequest, WorkerRef
from app.schemas.models import ExportLatency, ExportVerdict
from app.serving.golden import record
from app.serving.predictor import Predictor
from app.settings import Settings
from app.store import datasets, jobs, models
from app.store.engine import Database
from tests.app.conftest import make_dataset
from tests.app.serving.tiny import graph, word_scores, write_bundle
from tests.databases import migrated_sqlite


class Shelf:
    """One machine's database and artifact store, filled by hand."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.settings = Settings(_env_file=None, data_dir=folder / "data", log_level="WARNING", **settings)
        migrated_sqlite(self.settings.data_dir / "tunesmith.db")
        self.database = Database(self.settings.resolved_database_url)
        self.artifacts = open_store(self.settings.resolved_artifacts_url)
        with self.database.transaction() as session:
            datasets.insert(session, make_dataset("ds_1"))
        self._count = 0

    def publish(self, model: str, bias: Sequence[float] = (), **fields: Any) -> int:
        """Register a bag of words as the next version; ``fields`` are those of ``publish_bundle`` and its manifest."""
        ballast = fields.pop("ballast", 0)
        return self.publish_graph(model, graph(word_scores(), bias, ballast=ballast), **fields)

    def publish_golden(self, model: str, bias: Sequence[float], recorded: Sequence[float]) -> int:
        """Register a version whose golden examples were recorded by one with another bias, which may be the same."""
        self._count += 1
        folder = self.folder / "bundles" / str(self._count)
        made = Predictor.load(write_bundle(folder, graph(word_scores(), recorded)))
        (folder / GOLDEN).write_text(record({"onnx": made}, ["the film"]).model_dump_json())
        return self.register(write_bundle(folder, graph(word_scores(), bias), model=model))

    def publish_graph(
        self, model: str, made: onnx.ModelProto, smaller: onnx.ModelProto | None = None, **fields: Any
    ) -> int:
        """Register a graph as the next version, with a quicker int8 file beside it where there is a smaller one."""
        self._count += 1
        folder = self.folder / "bundles" / str(self._count)
        bundle = write_bundle(folder, made, model=model, **fields)
        if smaller is not None:
            bundle = _with_smaller(bundle, smaller)
        return self.register(bundle)

    def register(self, bundle: Bundle) -> int:
        """Do with a bundle what a worker does at the end of its job."""
        prefix = f"models/{bundle.folder.name}/1"
        put_bundle(self.artifacts, bundle, prefix)
        with self.database.transaction() as session:
            dataset = datasets.get(session, "ds_1")
            assert dataset is not None
            request = TrainJobRequest(model=bundle.manifest.model, dataset_id=dataset.id, base_model="minilm-l6")
            job = jobs.submit(
                session,
                request=request,
                request_sha256="0" * 64,
                dataset=dataset,
                base_model=BaseModelRef(id="minilm-l6", source="package"),
                warnings=[],
                max_attempts=3,
            )
            claim = jobs.claim(
                session, job.id, owner="wrk_1", queues=["default"], lease_seconds=60, worker=WorkerRef(id="wrk_1")
            )
            assert claim is not None
            row = models.register_version(
                session,
                claim,
                manifest=bundle.manifest,
                manifest_sha256=sha256_of(bundle.folder / MANIFEST),
                artifact_prefix=prefix,
                bytes=sum(entry.bytes for entry in bundle.manifest.files.values()),
            )
            return row.version

    def stored(self, number: int, file: str) -> Path:
        """Name a file of the bundle that was registered as the ``number``-th."""
        return self.settings.data_dir / "artifacts" / "models" / str(number) / "1" / file

    def alias(self, model: str, alias: str, version: int) -> None:
        """Move an alias."""
        with self.database.transaction() as session:
            models.set_alias(session, model, alias, version)

    def close(self) -> None:
        """Let the database go."""
        self.database.close()


def _with_smaller(bundle: Bundle, smaller: onnx.ModelProto) -> Bundle:
    (bundle.folder / SERVED_FILES["onnx-int8"]).write_bytes(smaller.SerializeToString())
    (bundle.folder / MANIFEST).unlink()
    verdicts = [verdict("onnx", 2.0), verdict("onnx-int8", 1.0)]
    manifest = bundle.manifest.model_copy(update={"files": describe_files(bundle.folder), "exports": verdicts})
    (bundle.folder / MANIFEST).write_text(manifest.model_dump_json())
    return Bundle.open(bundle.folder)


def verdict(name: ServedFormat, milliseconds: float, *, passed: bool = True) -> ExportVerdict:
    """Make the verdict of a format that answers in so many milliseconds."""
    return ExportVerdict(
        format=name,
        file=SERVED_FILES[name],
        bytes=1,
        rows=1,
        max_abs_difference=0.0,
        label_agreement=1.0,
        passed=passed,
        latency=ExportLatency(batch_1_ms=milliseconds, batch_32_ms=None),
    )
