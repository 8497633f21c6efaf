"""Tunesmith's service. Loaded before everything else of it, so that this is said in time."""

import os

# onnxruntime's own builds tell its maker about this machine and its models, from the moment they are loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
