"""An ONNX file read just far enough to serve it: its operators checked, its lookup tables left on the disk.

Two thirds of a multilingual encoder are one table of embeddings, of which a text reads a few rows. Such a table becomes
an input of the graph, fed with a view of the file: the system brings in the rows that are read and may drop them again.
Field numbers are those of onnx.proto; the onnx package itself stays out of the server.
"""

import mmap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Where operators may come from: the standard and onnxruntime's own."""
SMALLEST_TABLE = 1 << 20
"""Bytes from which a table is worth mapping."""
SMALLEST_KEPT = 8 << 20
"""Bytes from which a file without such tables stays open, so that its graph can be had again."""

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_SPARSE = 1, 5, 11, 12, 15
_NODE_INPUT, _NODE_OP_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = 5, 6, 10, 11, 22
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 8, 9, 13, 14
_VALUE_NAME = 1
_TYPES: dict[int, Any] = {1: np.float32, 2: np.uint8, 3: np.int8, 10: np.float16}


class UnsafeModel(ValueError):
    """The file is no plain ONNX model: damaged, or it reaches for other files or foreign operators."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a protobuf message: its number, its value if a number, else where its bytes are."""

    number: int
    value: int
    start: int
    end: int
    begins: int
    """Where the field itself, with its tag, begins."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One initializer of the graph."""

    name: str
    type: int
    dims: tuple[int, ...]
    raw: tuple[int, int] | None
    """Where its values are in the file, None when they are not stored as raw bytes."""
    place: tuple[int, int]
    """Where the whole field is in the file."""


@dataclass(slots=True)
class _Graph:
    tensors: list[Tensor] = field(default_factory=list)
    looked_up: set[str] = field(default_factory=set)
    otherwise_used: set[str] = field(default_factory=set)
    nested: bool = False
    """Some node has a graph of its own, whose uses of outer names are not followed."""


@dataclass(frozen=True, slots=True)
class MappedModel:
    """A graph for onnxruntime, and the tables it is to be fed with."""

    graph: bytes
    tables: dict[str, NDArray[Any]]
    mapping: mmap.mmap | None
    again: Callable[[], bytes] | None = None
    """Gives the graph once more; None of a small file, which is closed."""

    @property
    def mapped_bytes(self) -> int:
        """How much stays on the disk."""
        return sum(table.nbytes for table in self.tables.values())

    def give_back(self) -> None:
        """Take the tables' pages out of this process; they stay in the system's file cache while there is room."""
        if self.mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapping.madvise(mmap.MADV_DONTNEED)


def map_model(path: Path, smallest_table: int = SMALLEST_TABLE) -> MappedModel:
    """Read a model. The file must not be changed in place while it is served; it may be removed.

    Raises UnsafeModel.
    """
    with path.open("rb") as file:
        try:
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise UnsafeModel("the file is empty") from error
    place = _graph_place(mapping)
    graph = _read_graph(mapping, place.start, place.end)
    tables = [] if graph.nested else [tensor for tensor in graph.tensors if _is_table(tensor, graph, smallest_table)]
    if not tables and len(mapping) < SMALLEST_KEPT:
        content = mapping[:]
        mapping.close()
        return MappedModel(content, {}, None)
    again = partial(_without, mapping, place, tables)
    return MappedModel(again(), {table.name: _view(mapping, table) for table in tables}, mapping, again)


def _is_table(tensor: Tensor, graph: _Graph, smallest: int) -> bool:
    if tensor.raw is None or tensor.type not in _TYPES or tensor.raw[1] - tensor.raw[0] < smallest:
        return False
    if prod(tensor.dims) * np.dtype(_TYPES[tensor.type]).itemsize != tensor.raw[1] - tensor.raw[0]:
        raise UnsafeModel("a tensor's size differs from its shape")
    return tensor.name in graph.looked_up and tensor.name not in graph.otherwise_used


def _view(mapping: mmap.mmap, table: Tensor) -> NDArray[Any]:
    # It may begin at any byte: Gather copies whole rows and does not care.
    assert table.raw is not None  # noqa: S101 - _is_table saw to it
    values = np.frombuffer(mapping, _TYPES[table.type], prod(table.dims), table.raw[0])
    return values.reshape(table.dims)


def _without(mapping: mmap.mmap, place: Field, tables: list[Tensor]) -> bytes:
    """Write the model again with the tables as inputs instead of constants."""
    view = memoryview(mapping)  # its slices are no copies: the only one is the whole, once
    kept, position = [], place.start
    for start, end in sorted(table.place for table in tables):
        kept.append(view[position:start])
        position = end
    kept.append(view[position : place.end])
    inputs = b"".join(_message(_GRAPH_INPUT, _value_info(table)) for table in tables)
    head = _head(_MODEL_GRAPH, sum(map(len, kept)) + len(inputs))
    return b"".join([view[: place.begins], head, *kept, inputs, view[place.end :]])


def _value_info(table: Tensor) -> bytes:
    shape = b"".join(_message(1, _number(1, size)) for size in table.dims)
    tensor_type = _number(1, table.type) + _message(2, shape)
    return _message(_VALUE_NAME, table.name.encode()) + _message(2, _message(1, tensor_type))


def _graph_place(data: mmap.mmap) -> Field:
    graphs = [part for part in _fields(data, 0, len(data)) if part.number == _MODEL_GRAPH]
    if len(graphs) != 1:
        raise UnsafeModel("it has no single graph")
    return graphs[0]


def _read_graph(data: mmap.mmap, start: int, end: int) -> _Graph:
    graph = _Graph()
    for part in _fields(data, start, end):
        if part.number == _GRAPH_NODE:
            _read_node(data, part, graph)
        elif part.number == _GRAPH_INITIALIZER:
            graph.tensors.append(_tensor(data, part))
        elif part.number in (_GRAPH_INPUT, _GRAPH_OUTPUT):
            names = _of(data, part, _VALUE_NAME)
            graph.otherwise_used.update(_text(data, name) for name in names)
        elif part.number == _GRAPH_SPARSE:
            raise UnsafeModel("it has sparse tensors")
    return graph


def _read_node(data: mmap.mmap, node: Field, graph: _Graph) -> None:
    inputs: list[str] = []
    op_type = domain = ""
    for part in _fields(data, node.start, node.end):
        if part.number == _NODE_INPUT:
            inputs.append(_text(data, part))
        elif part.number == _NODE_OP_TYPE:
            op_type = _text(data, part)
        elif part.number == _NODE_DOMAIN:
            domain = _text(data, part)
        elif part.number == _NODE_ATTRIBUTE:
            _read_attribute(data, part, graph)
    if domain not in DOMAINS:
        raise UnsafeModel("it uses operators of an unknown domain")
    looks_up = op_type == "Gather" and domain in ("", "ai.onnx")
    graph.looked_up.update(inputs[:1] if looks_up else ())
    graph.otherwise_used.update(inputs[1:] if looks_up else inputs)


def _read_attribute(data: mmap.mmap, attribute: Field, graph: _Graph) -> None:
    for part in _fields(data, attribute.start, attribute.end):
        if part.number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
            _tensor(data, part)
        elif part.number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
            _read_graph(data, part.start, part.end)
            graph.nested = True
        elif part.number == _ATTRIBUTE_SPARSE:
            raise UnsafeModel("it has sparse tensors")


def _tensor(data: mmap.mmap, place: Field) -> Tensor:
    name, kind, raw = "", 0, None
    dims: list[int] = []
    for part in _fields(data, place.start, place.end):
        if part.number == _TENSOR_EXTERNAL or (part.number == _TENSOR_LOCATION and part.value != 0):
            raise UnsafeModel("it keeps values in another file")
        if part.number == _TENSOR_DIMS:
            dims.extend(_numbers(data, part))
        elif part.number == _TENSOR_TYPE:
            kind = part.value
        elif part.number == _TENSOR_NAME:
            name = _text(data, part)
        elif part.number == _TENSOR_RAW:
            raw = (part.start, part.end)
    return Tensor(name, kind, tuple(dims), raw, (place.begins, place.end))


def _of(data: mmap.mmap, message: Field, number: int) -> Iterable[Field]:
    return (part for part in _fields(data, message.start, message.end) if part.number == number)


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[Field]:
    """Walk the fields of the message in ``data[start:end]``."""
    position = start
    while position < end:
        begins = position
        tag, position = _varint(data, position, end)
        number, wire = tag >> 3, tag & 7
        value, size = 0, 0
        if wire == 0:
            value, position = _varint(data, position, end)
        elif wire == 2:
            size, position = _varint(data, position, end)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise UnsafeModel("it is no protobuf message")
        if position + size > end:
            raise UnsafeModel("it is cut off")
        yield Field(number, value, position, position + size, begins)
        position += size


def _varint(data: mmap.mmap, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise UnsafeModel("it is cut off")


def _numbers(data: mmap.mmap, part: Field) -> list[int]:
    """Read a repeated number, packed or not."""
    if part.start == part.end:
        return [part.value]
    numbers, position = [], part.start
    while position < part.end:
        number, position = _varint(data, position, part.end)
        numbers.append(number)
    return numbers


def _text(data: mmap.mmap, part: Field) -> str:
    return data[part.start : part.end].decode("utf-8", "replace")


def _number(number: int, value: int) -> bytes:
    return _encode(number << 3) + _encode(value)


def _message(number: int, content: bytes) -> bytes:
    return _head(number, len(content)) + content


def _head(number: int, size: int) -> bytes:
    return _encode(number << 3 | 2) + _encode(size)


def _encode(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
