"""The parsing process: confined, without secrets, and never the end of the service."""

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from app.errors import DatasetRefused
from app.preflight import inspection
from app.preflight.inspection import Inspector
from app.preflight.messages import UPLOAD, Accepted, Limits
from app.schemas.datasets import DatasetOptions

LIMITS = Limits(max_rows=5_000_000, max_text_chars=200_000, max_labels=100)
GOOD = "text,label\n" + "".join(f"row {number},{'ab'[number % 2]}\n" for number in range(40))


def inspect(folder: Path, content: bytes, limits: Limits = LIMITS) -> Accepted:
    folder.mkdir(exist_ok=True)
    (folder / UPLOAD).write_bytes(content)

    async def go() -> Accepted:
        return await Inspector(limits).inspect(folder, DatasetOptions())

    return asyncio.run(go())


def test_a_good_file_comes_back_described(tmp_path: Path) -> None:
    accepted = inspect(tmp_path / "one", GOOD.encode())
    assert accepted.profile.splits["train"].total == 32
    assert (tmp_path / "one" / "rows.jsonl").stat().st_size == accepted.bytes


def test_a_refusal_crosses_the_process_whole(tmp_path: Path) -> None:
    with pytest.raises(DatasetRefused) as caught:
        inspect(tmp_path / "one", b"text,lable\na,b\n")
    assert caught.value.code == "unknown-column"
    assert caught.value.errors[0].remedy == "Did you mean label_column=lable?"
    assert caught.value.extra["columns"] == ["text", "lable"]


def test_a_json_bomb_is_refused_not_fatal(tmp_path: Path) -> None:
    # 5 MB of text become some 100 MB of Python objects, more than this process may still take.
    bomb = b'[{"text":"a","label":[' + b"[[1.5]]," * 600_000 + b"[]]}]"
    with pytest.raises(DatasetRefused) as caught:
        inspect(tmp_path / "one", bomb, LIMITS.model_copy(update={"memory_bytes": 200 * 1024**2}))
    assert caught.value.code == "dataset-too-large"


def test_a_cancelled_inspection_leaves_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / UPLOAD).write_bytes(b"text,label\n" + b"row 1,a\n" * 3_000_000)

    async def go() -> None:
        task = asyncio.create_task(Inspector(LIMITS).inspect(folder, DatasetOptions()))
        await asyncio.sleep(0.8)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    marker = str(folder).encode()
    running = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _reads(path, marker)]
    assert running == []


def _reads(path: Path, marker: bytes) -> bool:
    try:
        return marker in path.read_bytes()
    except OSError:
        return False


def test_the_process_has_no_secrets_and_cannot_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run another module in the parser's place and let it tell what it sees."""
    monkeypatch.setenv("TUNESMITH_API_KEY", "canary-key")
    (tmp_path / "seen.py").write_text(
        "import json, os, resource, sys\n"
        "from app.preflight.confinement import confine\n"
        "confine(memory_bytes=2**31, cpu_seconds=7, file_bytes=2**20)\n"
        "status = open('/proc/self/status').read()\n"
        "try:\n    bytearray(3 * 2**30); grew = True\nexcept MemoryError:\n    grew = False\n"
        "json.dump([dict(os.environ), resource.getrlimit(resource.RLIMIT_CPU), grew, 'NoNewPrivs:\\t1' in status],"
        " open(sys.argv[1] + '/seen.json', 'w'))\n"
    )

    async def go() -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(tmp_path / "seen.py"), str(tmp_path), env=inspection.environment(), cwd=tmp_path
        )
        return await process.wait()

    assert asyncio.run(go()) == 0
    environment, cpu, grew, no_new_privileges = json.loads((tmp_path / "seen.json").read_text())
    assert "canary-key" not in json.dumps(environment)
    assert cpu == [7, 7]
    assert not grew
    assert no_new_privileges


def test_big_files_stay_within_time_and_memory(tmp_path: Path) -> None:
    content = b"text,label\n" + b"".join(
        b"the quick brown fox %d,%s\n" % (n, b"ab"[n % 2 : n % 2 + 1]) for n in range(200_000)
    )
    started = time.monotonic()
    accepted = inspect(tmp_path / "one", content)
    assert accepted.profile.splits["train"].total == 160_000
    assert time.monotonic() - started < 30
