"""Makes models, versions and aliases as clients see them out of rows."""

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy.orm import Session

from app.artifacts.bundle import Manifest
from app.artifacts.stored import stored_manifest
from app.schemas.metrics import Evaluation
from app.schemas.models import Alias, Lineage, Model, Parent, Version, VersionSummary
from app.schemas.promotions import AliasMoved, AliasPolicy, PromotionPolicy
from app.store import models, promotions, tables, traffic


def describe_models(session: Session, rows: Sequence[tables.Model]) -> list[Model]:
    """Give models with their aliases."""
    registry = models.registry_snapshot(session)
    return [_describe_model(session, row, registry[row.name]) for row in rows if row.name in registry]


def _describe_model(session: Session, row: tables.Model, entry: models.Entry) -> Model:
    here = f"/models/{row.name}"
    return Model(
        name=row.name,
        latest_version=entry["newest"],
        serving_version=entry["aliases"].get(models.CHAMPION, entry["newest"]),
        aliases=[describe_alias(alias) for alias in models.aliases(session, row.name)],
        policies=promotions.with_policy(session, row.name),
        splits=traffic.of_model(session, row.name),
        created_at=row.created_at,
        updated_at=row.updated_at,
        links={
            "self": here,
            "versions": f"{here}/versions",
            "aliases": f"{here}/aliases",
            "predict": f"{here}/predict",
        },
    )


def describe_alias(row: tables.ModelAlias) -> Alias:
    """Give an alias; its revision is its ETag."""
    return Alias(alias=row.alias, version=row.version, revision=row.revision, updated_at=row.updated_at)


def describe_policy(row: tables.AliasPolicy) -> AliasPolicy:
    """Give the policy of an alias."""
    return AliasPolicy(
        alias=row.alias,
        policy=PromotionPolicy.model_validate(row.policy),
        revision=row.revision,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
    )


def describe_move(row: tables.AliasMove) -> AliasMoved:
    """Give a line of the history of an alias."""
    return AliasMoved.model_validate(
        {
            "at": row.at,
            "kind": row.kind,
            "from_version": row.from_version,
            "to_version": row.to_version,
            "actor": row.actor,
            "forced": row.forced,
            "reason": row.reason,
            "checks": row.checks,
            "traffic": row.traffic,
        }
    )


def summarize_version(row: tables.ModelVersion, aliases: list[tables.ModelAlias]) -> VersionSummary:
    """Give a version as a line of a list."""
    return VersionSummary.model_validate(_summary(row, stored_manifest(row), aliases))


def describe_version(row: tables.ModelVersion, aliases: list[tables.ModelAlias]) -> Version:
    """Give everything about a version."""
    manifest = stored_manifest(row)
    return Version.model_validate(
        _summary(row, manifest, aliases)
        | {
            "model": row.model_name,
            "labels": manifest.labels,
            "problem_type": manifest.problem_type,
            "thresholds": manifest.thresholds and dict(zip(manifest.labels, manifest.thresholds, strict=True)),
            "decision": manifest.decision,
            "tasks": manifest.tasks,
            "dataset": manifest.dataset,
            "hyperparameters": manifest.hyperparameters,
            "validation": manifest.validation,
            "test": manifest.test,
            "intervals": manifest.intervals,
            "baselines": manifest.baselines,
            "slices": manifest.slices,
            "answers": manifest.answers,
            "lineage": _lineage(row, manifest),
            "exports": manifest.exports,
            "serve": manifest.serve,
            "manifest_sha256": row.manifest_sha256,
            "files": {name: entry.bytes for name, entry in sorted(manifest.files.items())},
            "libraries": manifest.libraries,
            "links": {
                "self": f"/models/{row.model_name}/versions/{row.version}",
                "job": f"/jobs/{row.job_id}",
                "dataset": f"/datasets/{manifest.dataset.id}",
                "archive": f"/models/{row.model_name}/versions/{row.version}/archive",
                "card": f"/models/{row.model_name}/versions/{row.version}/card",
                "evaluations": f"/models/{row.model_name}/versions/{row.version}/evaluations",
                "predict": f"/models/{row.model_name}:{row.version}/predict",
            },
        }
    )


def _lineage(row: tables.ModelVersion, manifest: Manifest) -> Lineage:
    teacher = manifest.hyperparameters.get("distillation") or {}
    parents = [
        _parent("fine-tuned-from", manifest.base_model.id, manifest.base_model.revision),
        _parent("distilled-from", str(teacher.get("teacher", "")), teacher.get("revision")),
    ]
    return Lineage(
        job_id=row.job_id,
        attempt=row.attempt,
        dataset=manifest.dataset,
        base_model=manifest.base_model,
        code_version=manifest.libraries.get("tunesmith"),
        parents=[parent for parent in parents if parent is not None],
    )


def _parent(relation: Literal["fine-tuned-from", "distilled-from"], source: str, revision: str | None) -> Parent | None:
    """Name the version of our own that a base model or a teacher was; None when it came from elsewhere."""
    name = source.removeprefix("model:").partition("@")[0].partition(":")[0]
    if not source.startswith("model:") or revision is None or not revision.isdecimal():
        return None
    return Parent(model=name, version=int(revision), relation=relation)


def _summary(row: tables.ModelVersion, manifest: Manifest, aliases: list[tables.ModelAlias]) -> dict[str, Any]:
    return {
        "version": row.version,
        "id": row.id,
        "job_id": row.job_id,
        "base_model": manifest.base_model,
        "aliases": [alias.alias for alias in aliases if alias.version == row.version],
        "metrics": _scores("validation", manifest.validation) | _scores("test", manifest.test),
        "bytes": row.bytes,
        "created_at": row.created_at,
    }


def _scores(split: str, evaluation: Evaluation | None) -> dict[str, float]:
    if evaluation is None:
        return {}
    values = {split: evaluation, **{f"{split}/{task}": judged for task, judged in evaluation.tasks.items()}}
    return {
        f"{place}/{name}": value
        for place, judged in values.items()
        for name, value in judged.model_dump(exclude={"split", "per_class", "confusion_matrix", "tasks"}).items()
        if isinstance(value, float)
    }
