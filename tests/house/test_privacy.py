"""Nobody hears of this service: what it is built on must not report to its makers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from opentelemetry import _logs, metrics, trace

from app.main import create_app
from app.settings import Settings

LOADS_ONNXRUNTIME = ("app.serving.predictor", "worker.export.formats.onnx_int8")
LOAD = "import importlib, sys; importlib.import_module(sys.argv[1]); assert 'onnxruntime' in sys.modules"
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("module", LOADS_ONNXRUNTIME)
def test_onnxruntime_does_not_report_to_its_maker(module: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", LOAD, module], env=environment, check=True, timeout=300)
    assert not list(tmp_path.rglob("*onnxruntime*")), "an identity of this machine was made, to report with"


def test_what_callers_write_goes_to_no_collector(
    data_dir: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The framework hands failed requests, with their messages, to OpenTelemetry where that is set up."""
    asked: list[str] = []
    for module, name in (
        (trace, "get_tracer_provider"),
        (metrics, "get_meter_provider"),
        (_logs, "get_logger_provider"),
    ):
        monkeypatch.setattr(module, name, lambda name=name: asked.append(name))
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    settings = Settings(_env_file=None, data_dir=data_dir, database_url=sqlite_url)
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        assert client.get("/healthz").status_code == 200
        assert client.post("/predict", json={"inputs": "a secret"}).status_code == 422
        assert client.get("/jobs", params={"limit": "a secret"}).status_code == 422
    assert asked == []
