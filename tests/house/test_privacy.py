"""Nobody hears of this service: what it is built on must not report to its makers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOADS_ONNXRUNTIME = ("app.serving.predictor", "worker.export.formats.onnx_int8")
LOAD = "import importlib, sys; importlib.import_module(sys.argv[1]); assert 'onnxruntime' in sys.modules"
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", LOADS_ONNXRUNTIME)
def test_onnxruntime_does_not_report_to_its_maker(module: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", LOAD, module], env=environment, check=True, timeout=300)
    assert not list(tmp_path.rglob("*onnxruntime*")), "an identity of this machine was made, to report with"
