"""Run every example against a service that is started for it; the exit status is 1 when one fails.

python scripts/run_examples.py
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS, EXAMPLE_SECONDS = 120.0, 600.0


def main() -> None:
    with service() as url:
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


@contextmanager
def service() -> Iterator[str]:
    """Start a service in a folder that goes away again, and give its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    known = {name: value for name, value in os.environ.items() if not name.startswith("TUNESMITH_")}
    with tempfile.TemporaryDirectory(prefix="tunesmith-examples-") as folder:
        environment = known | {"TUNESMITH_DATA_DIR": f"{folder}/data", "TUNESMITH_PORT": str(port)}
        with Path(folder, "up.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "app", "up"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        try:
            wait_until_ready(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the service takes requests; ends the program when it does not start."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    sys.exit("the service did not start")


if __name__ == "__main__":
    main()
