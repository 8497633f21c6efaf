"""Finds out what the name of a base model means, and pins it: a job must not change its start while it waits."""

import fnmatch
from dataclasses import replace

from sqlalchemy.orm import Session

from app.errors import AppError, FieldError, Unprocessable, nearest
from app.preflight.hub import Hub, UnknownRepository
from app.schemas.distillation import DistillationOptions
from app.schemas.families import FamilyName, FamilyOptions, TextCNNOptions
from app.schemas.jobs import PACKAGED_BASE_MODEL, BaseModelRef
from app.settings import Settings
from app.store import models
from app.store.engine import Database

WELL_KNOWN = (
    "distilbert-base-uncased",
    "distilbert-base-cased",
    "distilbert-base-multilingual-cased",
    "bert-base-uncased",
    "bert-base-cased",
    "bert-large-uncased",
    "bert-base-multilingual-cased",
    "bert-base-multilingual-uncased",
    "distilroberta-base",
    "roberta-base",
    "roberta-large",
    "xlm-roberta-base",
    "albert-base-v2",
    "answerdotai/ModernBERT-base",
    "sentence-transformers/all-MiniLM-L6-v2",
)
"""Only for guessing what a misspelt name meant."""
_OWN = "model:"
_WITHOUT_PLAIN_ENCODER: frozenset[FamilyName] = frozenset({"textcnn", "hierarchical"})
"""Families whose checkpoints only they themselves can go on from."""
_TEACHER = "/hyperparameters/distillation/teacher"


class BaseModels:
    """Resolves names in this order: the packaged model, configured folders, own versions, the hub."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._hub = Hub(settings)

    def pin_teacher(self, options: DistillationOptions) -> DistillationOptions:
        """Give the options with the teacher's revision written out.

        Raises Unprocessable ``unknown-base-model`` and the like, Unavailable ``hub-unreachable``.
        """
        own = options.teacher.startswith(_OWN)
        name = options.teacher
        if own and options.revision is not None:
            name = f"{_OWN}{_parts(name.removeprefix(_OWN))[0]}:{options.revision}"
        try:
            revision = self.pin(name, None).revision
        except Unprocessable as error:
            raise replace(error, errors=tuple(replace(one, pointer=_TEACHER) for one in error.errors)) from None
        return options.model_copy(update={"revision": (revision if own else options.revision) or revision})

    def pin(self, name: str, family: FamilyOptions | None) -> BaseModelRef:
        """Give the reference with its revision; ``family`` is what is to be made of it, None: it is used as it is.

        Raises Unprocessable ``unknown-base-model`` and the like, Unavailable ``hub-unreachable``. No network is
        touched for a name that the operator did not allow.
        """
        if name == PACKAGED_BASE_MODEL:
            return BaseModelRef(id=name, source="package")
        if name in self._settings.base_models:
            return BaseModelRef(id=name, source="folder")
        if name.startswith(_OWN):
            return self._own_version(name, family)
        return self._from_hub(name)

    def family_of(self, base: BaseModelRef) -> str | None:
        """Give the family of what was pinned, where that is a version of our own."""
        if base.source != "version" or base.revision is None:
            return None
        with self._database.transaction(read_only=True) as session:
            version = models.get_version(session, base.id.removeprefix(_OWN), int(base.revision))
        return None if version is None else str(version.manifest.get("family"))

    def _own_version(self, name: str, family: FamilyOptions | None) -> BaseModelRef:
        model, alias, number = _parts(name.removeprefix(_OWN))
        with self._database.transaction(read_only=True) as session:
            version = models.resolve(session, model, alias=alias, version=number)
            if version is None:
                raise _unknown(name, self._own_names(session))
            if family is not None and not _suits(str(version.manifest.get("family")), family):
                raise _unfit(str(version.manifest.get("family")), family)
            return BaseModelRef(id=f"{_OWN}{model}", source="version", revision=str(version.version))

    def _from_hub(self, name: str) -> BaseModelRef:
        allowed = self._settings.allowed_base_models
        if not name.isascii() or not any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed):
            raise _unknown(name, self._local_names(), "It is not among the base models that this service allows.")
        if not self._settings.hub_enabled:
            return self._from_cache(name, self._unknown_offline(name))
        try:
            return BaseModelRef(id=name, source="hub", revision=self._hub.commit_of(name))
        except UnknownRepository:
            raise _unknown(
                name, [*self._local_names(), *WELL_KNOWN], "The hub has no public model of this name."
            ) from None
        except AppError as error:
            if error.code != "hub-unreachable":
                raise
            return self._from_cache(name, error)

    def _from_cache(self, name: str, otherwise: AppError) -> BaseModelRef:
        commit = self._hub.cached_commit_of(name)
        if commit is None:
            raise otherwise
        return BaseModelRef(id=name, source="hub", revision=commit)

    def _unknown_offline(self, name: str) -> AppError:
        return _unknown(name, self._local_names(), "This service does not use a hub.", hub=False)

    def _local_names(self) -> list[str]:
        return [PACKAGED_BASE_MODEL, *self._settings.base_models]

    def _own_names(self, session: Session) -> list[str]:
        return [f"{_OWN}{name}" for name in models.registry_snapshot(session)]


def _suits(trained: str, family: FamilyOptions) -> bool:
    """Say whether a version of the family ``trained`` can be the start of ``family``."""
    if trained == family.type:
        return True
    if isinstance(family, TextCNNOptions) and family.tokenizer == "own":
        return False
    return trained not in _WITHOUT_PLAIN_ENCODER


def _unfit(trained: str, family: FamilyOptions) -> AppError:
    remedy = f"Set family to {trained}, or start from another base model."
    return Unprocessable(
        f"This version is of family {trained}, from which no {family.type} can start.",
        code="unfit-base-model",
        remedy=remedy,
        errors=(FieldError("/base_model", "unfit-base-model", f"is of family {trained}", remedy=remedy),),
    )


def _parts(reference: str) -> tuple[str, str | None, int | None]:
    """Split NAME, NAME@ALIAS or NAME:N."""
    name, _, alias = reference.partition("@")
    name, _, number = name.partition(":")
    return name, alias or None, int(number) if number else None


def _unknown(name: str, known: list[str], why: str = "", *, hub: bool = True) -> AppError:
    near = nearest(name, known)
    shown = [candidate for candidate in known if candidate not in WELL_KNOWN][:20]
    choices = f"Use {', '.join(shown) or PACKAGED_BASE_MODEL}{', or a Hugging Face id' if hub else ''}."
    remedy = f"Did you mean {near}?" if near else choices
    return Unprocessable(
        f"There is no base model {name!r} to start from. {why}".strip(),
        code="unknown-base-model",
        remedy=remedy,
        errors=(FieldError("/base_model", "unknown-base-model", "names no base model", shown or None, remedy),),
    )
