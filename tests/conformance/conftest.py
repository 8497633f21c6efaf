"""What conformance tests share with those of the worker: a toy task and a tiny base model."""

from tests.worker.toy_task import (  # noqa: F401 - fixtures
    brief_measurements,
    make_spec,
    recording,
    restored_torch,
    tiny_base,
)
