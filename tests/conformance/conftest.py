"""The tiny base model of the worker's tests."""

from tests.worker.toy_task import tiny_base  # noqa: F401 - a fixture
