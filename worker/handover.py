"""The bundle an attempt hands back: model, tokenizer, weights, and a manifest written only after verification."""

import platform
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from torch import nn

from app.artifacts.bundle import MANIFEST, ONNX, TOKENIZER, WEIGHTS, Bundle, Manifest, describe_files, sha256_of
from app.schemas.metrics import Evaluation
from worker.data.batches import Batches
from worker.events import AttemptSpec
from worker.export import weights
from worker.export.formats import onnx
from worker.export.verify import ROWS, verify
from worker.setup import Setup

LIBRARIES = ("tunesmith", "torch", "transformers", "tokenizers", "safetensors", "numpy", "onnx", "onnxruntime")


def hand_over(
    spec: AttemptSpec,
    setup: Setup,
    *,
    validation: Evaluation | None,
    test: Evaluation | None,
    check: Callable[[], None],
) -> str:
    """Write and verify the bundle of a trained model; give the hash of its manifest.

    Moves the model to the CPU. Raises JobFailure ``export-failed`` or ``export-verification-failed``.
    """
    model, folder = setup.model, spec.bundle_dir
    nn.Module.to(model, "cpu")
    model.train(mode=False)
    if setup.data.hyperparameters.gradient_checkpointing:
        model.activation_checkpointing_disable()  # type: ignore[no-untyped-call]
    folder.mkdir(parents=True)
    shutil.copyfile(setup.tokenizer, folder / TOKENIZER)
    weights.save(model, folder / WEIGHTS)
    check()
    onnx.export(model, folder / ONNX, pad_token_id=setup.pad_token_id, longest=setup.position_limit)
    check()
    manifest = _manifest(spec, setup, validation, test)
    verdict = verify(Bundle(folder, manifest), model, _rows(setup))
    return _write(folder, manifest.model_copy(update={"exports": [verdict]}))


def _rows(setup: Setup) -> Batches:
    """Compare on rows the model has not learned from, if there are enough."""
    validation = setup.data.validation
    return validation if validation is not None and len(validation) >= ROWS // 2 else setup.data.train


def _manifest(spec: AttemptSpec, setup: Setup, validation: Evaluation | None, test: Evaluation | None) -> Manifest:
    return Manifest(
        model=spec.model_name,
        job_id=spec.job_id,
        attempt=spec.attempt,
        created_at=datetime.now(UTC),
        family=spec.request.family,
        labels=spec.labels,
        text=spec.request.text,
        tokenizer=setup.data.encoder.settings,
        base_model=spec.base_model,
        dataset=spec.dataset,
        hyperparameters=setup.data.hyperparameters.model_dump(),
        resolutions=setup.data.resolutions,
        validation=validation,
        test=test,
        exports=[],
        libraries=_libraries(),
        files=describe_files(spec.bundle_dir),
    )


def _write(folder: Path, manifest: Manifest) -> str:
    scratch = folder / f".{MANIFEST}"
    scratch.write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    scratch.replace(folder / MANIFEST)
    return sha256_of(folder / MANIFEST)


def _libraries() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a source tree that was not installed
            continue
    return versions
