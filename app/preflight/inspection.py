"""Has an upload parsed by a confined process and gives what it found; knows nothing of HTTP or SQL."""

import asyncio
import sys
from pathlib import Path

import app
from app.errors import AppError, DatasetRefused, Unavailable
from app.logging import get_logger
from app.preflight.messages import ORDER, OUTCOME, Accepted, Limits, Order, Outcome, Refused, Texts
from app.schemas.datasets import DatasetOptions

_WALL_SECONDS = 300
_HOME = Path(app.__file__).parent.parent

log = get_logger(__name__)


class Inspector:
    """Runs at most ``parallel`` parsing processes at a time: each may take 2 GiB."""

    def __init__(self, limits: Limits, parallel: int = 2) -> None:
        self.limits = limits
        self._turns = asyncio.Semaphore(parallel)

    async def inspect(self, folder: Path, options: DatasetOptions) -> Accepted:
        """Parse ``folder/upload`` into ``folder/rows.jsonl``; raises the AppError that says why not."""
        outcome = await self._outcome(folder, Order(options=options, limits=self.limits))
        if not isinstance(outcome, Accepted):
            raise TypeError("texts where rows were wanted")
        return outcome

    async def inspect_texts(self, folder: Path, options: DatasetOptions) -> Texts:
        """Parse only the texts of ``folder/upload`` into ``folder/rows.jsonl``; raises AppError."""
        outcome = await self._outcome(folder, Order(options=options, limits=self.limits, only_texts=True))
        if not isinstance(outcome, Texts):
            raise TypeError("rows where texts were wanted")
        return outcome

    async def _outcome(self, folder: Path, order: Order) -> Accepted | Texts:
        (folder / ORDER).write_text(order.model_dump_json(exclude_unset=True), encoding="utf-8")
        async with self._turns:
            exit_code = await _run(folder)
        return _read_outcome(folder, exit_code)


async def _run(folder: Path) -> int:
    """Run the parser with a minimal environment: it needs no secret, so it has none."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "app.preflight.parse",
        str(folder),
        env={
            "PYTHONPATH": str(_HOME),
            "LANG": "C.UTF-8",
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "OMP_NUM_THREADS": "1",
        },
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        return await asyncio.wait_for(process.wait(), _WALL_SECONDS)
    except TimeoutError:
        return -9
    finally:
        if process.returncode is None:  # timed out, or the client hung up
            process.kill()
            await process.wait()


def environment() -> dict[str, str]:
    """Give the parser all it needs to know; Arrow's own allocators reserve more memory than it may have."""
    return {
        "PYTHONPATH": str(_HOME),
        "LANG": "C.UTF-8",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _read_outcome(folder: Path, exit_code: int) -> Accepted | Texts:
    path = folder / OUTCOME
    if exit_code == 0 and path.is_file():
        outcome = Outcome.model_validate_json(path.read_bytes()).outcome
        if isinstance(outcome, Refused):
            raise outcome.error()
        return outcome
    log.warning("The parsing process died", exit_code=exit_code)
    raise _died(exit_code)


def _died(exit_code: int) -> AppError:
    if exit_code > 0:
        return Unavailable("The file could not be parsed right now.", code="parser-failed", remedy="Try again.")
    return DatasetRefused(
        "Reading the file took more memory or time than a dataset may take, or broke the reader.",
        code="unreadable-dataset",
        remedy="Write the file again with a current library, or send it as JSON Lines or CSV.",
    )
