"""Asking for less memory where a model only answers."""

import pytest
import torch

from app.errors import JobFailure
from worker.memory import Portion, ran_out


def answer(limit: int) -> list[int]:
    """Give the sizes that were tried until one fitted, and what was told."""
    tried: list[int] = []
    told: list[int] = []

    def work(size: int) -> int:
        tried.append(size)
        if size > limit:
            raise torch.OutOfMemoryError
        return size

    portion = Portion(50, told.append)
    assert portion.of(work) == portion.size == tried[-1]
    assert told == tried[1:]
    assert portion.of(work) == tried[-2]
    return tried[:-1]


def test_halves_until_it_fits_and_remembers() -> None:
    assert answer(7) == [50, 25, 12, 6]
    assert answer(1) == [50, 25, 12, 6, 3, 1]


def test_single_texts_that_do_not_fit_are_a_failure() -> None:
    def work(_size: int) -> None:
        raise torch.OutOfMemoryError

    with pytest.raises(JobFailure) as caught:
        Portion(2, lambda _: None).of(work)
    assert caught.value.code == "gpu-out-of-memory"


def test_other_errors_pass() -> None:
    def work(_size: int) -> None:
        raise RuntimeError("sizes do not match")

    with pytest.raises(RuntimeError, match="sizes"):
        Portion(8, lambda _: None).of(work)


def test_knows_what_the_libraries_of_the_gpu_say() -> None:
    assert ran_out(torch.OutOfMemoryError("CUDA out of memory."))
    assert ran_out(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert not ran_out(RuntimeError("CUDA error: device-side assert triggered"))
