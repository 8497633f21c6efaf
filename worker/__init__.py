"""Tunesmith's workers. They load the service's package first, for what it says before onnxruntime is loaded."""

import app as app
