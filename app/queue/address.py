"""Where the embedded broker is: its socket, its password, and the file by which other processes find it."""

import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

EMBEDDED = "embedded://"
INFO_FILE = "broker.json"
MAX_SOCKET_PATH = 100  # bytes; Linux takes 107, macOS 103
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach a running broker, and the process that owns it."""

    url: str
    socket: str
    pid: int

    def write(self, path: Path) -> None:
        """Publish the address to processes of this user."""
        write_private(path, json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Address | None":
        """Read a published address; None when there is none, or it makes no sense."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def owner_lives(self) -> bool:
        """Say whether the owning process still exists."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only this user can read, at once."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def password(path: Path) -> str:
    """Read the password of a data folder, made at its first start: workers keep theirs while the server restarts."""
    try:
        text = path.read_text()
    except OSError:
        text = ""
    if re.fullmatch(r"[0-9a-f]{64}", text) is None:
        text = secrets.token_hex(32)
        write_private(path, text)
    return text


def socket_path(folder: Path) -> Path:
    """Place the socket in ``folder``, or in a private temporary one when its path is too long, or odd for a URL."""
    inside = folder / "v.sock"
    if _PLAIN_PATH.fullmatch(str(inside)) and len(os.fsencode(inside)) <= MAX_SOCKET_PATH:
        return inside
    name = f"tunesmith-{os.getuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    outside = _short_base() / name
    outside.mkdir(mode=0o700, exist_ok=True)
    if not _is_private(outside):  # somebody else was there first
        outside = Path(tempfile.mkdtemp(prefix="tunesmith-", dir=_short_base()))
    return outside / "v.sock"


def remove_socket(path: Path, folder: Path) -> None:
    """Remove a socket, and the folder that was made for it outside of ``folder``."""
    path.unlink(missing_ok=True)
    if path.parent != folder:
        with suppress(OSError):
            path.parent.rmdir()


def _short_base() -> Path:
    base = Path(tempfile.gettempdir())
    usable = _PLAIN_PATH.fullmatch(str(base)) and len(os.fsencode(base)) <= MAX_SOCKET_PATH - 40
    return base if usable else Path("/tmp")  # noqa: S108 - the folder made in it is private


def _is_private(folder: Path) -> bool:
    facts = folder.lstat()
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and stat.S_IMODE(facts.st_mode) & 0o077 == 0
