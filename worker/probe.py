"""What was measured of this machine, remembered in a small JSON file so that each job need not measure again."""

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path


class Probe:
    """Measurements by name, valid for one machine and one set of library versions.

    ``folder`` None: nothing is remembered. A damaged or unwritable file costs a new measurement, never the job.
    """

    def __init__(self, folder: Path | None, *, machine: str) -> None:
        key = hashlib.sha256(f"{platform.machine()}\n{machine}".encode()).hexdigest()[:16]
        self._file = folder / f"probe-{key}.json" if folder else None

    def remembered(self, name: str, measure: Callable[[], float]) -> float:
        """Give the remembered value, or measure it now and remember it."""
        known = self._read()
        if name not in known:
            known[name] = measure()
            self._write(known)
        return known[name]

    def _read(self) -> dict[str, float]:
        if self._file is None:
            return {}
        try:
            content = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {name: value for name, value in content.items() if isinstance(value, float)}

    def _write(self, known: dict[str, float]) -> None:
        if self._file is None:
            return
        scratch = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(known))
            scratch.replace(self._file)
