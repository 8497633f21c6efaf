"""Tensors of the Open Inference Protocol: as JSON, or as bytes behind it."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.errors import AppError, FieldError, Unprocessable
from app.schemas.facades import InferInput, InferOutput

_LENGTH = struct.Struct("<I")
BINARY_SIZE = "binary_data_size"


def texts_of(tensor: InferInput, rest: bytes) -> list[str]:
    """Read the one input of a request; ``rest`` is what followed the JSON. Raises Unprocessable ``invalid-tensor``."""
    unknown = set(tensor.parameters) - {BINARY_SIZE}
    if unknown:
        raise invalid("/inputs/0/parameters", f"must not have {sorted(unknown)[0][:100]}: only {BINARY_SIZE} is known")
    size = tensor.parameters.get(BINARY_SIZE)
    if size is None:
        if rest:
            raise invalid("/inputs/0/parameters", f"must say {BINARY_SIZE}, because bytes follow the JSON")
        texts = _from_json(tensor.data)
    else:
        if tensor.data is not None or size != len(rest):
            raise invalid(f"/inputs/0/parameters/{BINARY_SIZE}", f"must be {len(rest)}, and without data beside it")
        texts = _from_bytes(rest)
    if tensor.shape not in ([len(texts)], [len(texts), 1]) or not texts:
        raise invalid("/inputs/0/shape", f"must be [n] or [n, 1] with n the number of texts, here {len(texts)}")
    return texts


def _from_json(data: list[Any] | None) -> list[str]:
    texts = []
    for index, item in enumerate(data or []):
        text = item[0] if isinstance(item, list) and len(item) == 1 else item
        if not isinstance(text, str):
            raise invalid(f"/inputs/0/data/{index}", "must be a text")
        texts.append(text)
    return texts


def _from_bytes(data: bytes) -> list[str]:
    """Read texts, each behind its length in bytes as four bytes, the lowest first."""
    texts, at = [], 0
    while at < len(data):
        if at + _LENGTH.size > len(data):
            raise invalid("/inputs/0", "must be texts, each behind its length as four bytes")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            raise invalid("/inputs/0", "must be texts, each behind its length as four bytes")
        try:
            texts.append(data[at : at + length].decode())
        except UnicodeDecodeError:
            raise invalid(f"/inputs/0/{len(texts)}", "must be UTF-8") from None
        at += length
    return texts


def words(name: str, values: Sequence[str]) -> tuple[InferOutput, bytes]:
    """Make an output of texts, (n,), and its form as bytes."""
    encoded = [value.encode() for value in values]
    data = b"".join(_LENGTH.pack(len(value)) + value for value in encoded)
    return InferOutput(name=name, datatype="BYTES", shape=[len(values)], data=list(values)), data


def numbers(name: str, values: Sequence[float] | Sequence[Sequence[float]]) -> tuple[InferOutput, bytes]:
    """Make an output of numbers, (n,) or (n, labels), and its form as bytes."""
    array = np.asarray(values, dtype="<f4")
    data = array.ravel().tolist()
    return InferOutput(name=name, datatype="FP32", shape=list(array.shape), data=data), array.tobytes()


def invalid(place: str, words: str) -> AppError:
    """Make the error of a tensor that cannot be read."""
    return Unprocessable(
        f"{place} {words}.",
        code="invalid-tensor",
        remedy="See the tag Open Inference dialect in /docs for a request that works.",
        errors=(FieldError(place, "invalid-tensor", words),),
    )
