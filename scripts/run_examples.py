"""Run every example against a service that is started for it; the exit status is 1 when one fails.

python scripts/run_examples.py
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.own_service import own_service  # noqa: E402  # only now is it known where it is

EXAMPLE_SECONDS = 600.0


def main() -> None:
    with own_service({}) as service:
        url = service.url
        failed = [example.name for example in sorted((ROOT / "examples").glob("*.py")) if not runs(example, url)]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def runs(example: Path, url: str) -> bool:
    """Run one example and say whether it ended well."""
    print(f"== {example.name}", flush=True)
    began = time.monotonic()
    environment = os.environ | {"TUNESMITH_URL": url, "PYTHONPATH": str(ROOT)}
    status = subprocess.run(
        [sys.executable, example], env=environment, timeout=EXAMPLE_SECONDS, check=False
    ).returncode  # fmt: skip
    print(f"== {'ok' if status == 0 else f'exit status {status}'} after {time.monotonic() - began:.0f} s", flush=True)
    return status == 0


if __name__ == "__main__":
    main()
