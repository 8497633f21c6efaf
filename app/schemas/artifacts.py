"""Files of a job: its records, made of what is known of it now, and the bundle it handed back."""

from typing import Literal

from app.schemas.base import Resource


class JobArtifact(Resource):
    """One file that can be downloaded."""

    name: str
    """Its name in this list, and the only way to ask for it."""
    kind: Literal["record", "bundle"]
    """record: made when it is asked for, of what is known of the job then; bundle: a file of the published version."""
    media_type: str
    """What it is, as a MIME type."""
    bytes: int | None
    """Its size; null for a record."""
    sha256: str | None
    """Hash of its content; null for a record."""
    href: str
    """Where to download it."""
