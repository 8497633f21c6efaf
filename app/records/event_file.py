"""TensorBoard's event files, written without TensorBoard: records with checksums around a few protobuf fields.

Field numbers are those of event.proto and summary.proto.
"""

import struct
from collections.abc import Iterable, Mapping

VERSION = "brain.Event:2"
_CASTAGNOLI = 0x82F63B78
_MASK = 0xA282EAD8
_EVENT_TIME, _EVENT_STEP, _EVENT_VERSION, _EVENT_SUMMARY = 1, 2, 3, 5
_SUMMARY_VALUE, _VALUE_TAG, _VALUE_NUMBER, _VALUE_METADATA = 1, 1, 2, 9
_METADATA_PLUGIN, _PLUGIN_NAME = 1, 1
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5


def file_name(run: str, seconds: float) -> str:
    """Name the event file of a run; TensorBoard reads what has ``tfevents`` in its name, in the order of the names."""
    return f"events.out.tfevents.{int(seconds):010d}.{run}"


def opening(seconds: float) -> bytes:
    """Begin a file; ``seconds`` since 1970."""
    return _record(_field(_EVENT_TIME, _FIXED_64, struct.pack("<d", seconds)) + _text(_EVENT_VERSION, VERSION))


def scalars(seconds: float, step: int, values: Mapping[str, float]) -> bytes:
    """Write values of curves at one step."""
    summary = b"".join(_message(_SUMMARY_VALUE, _scalar(tag, value)) for tag, value in values.items())
    event = (
        _field(_EVENT_TIME, _FIXED_64, struct.pack("<d", seconds))
        + _field(_EVENT_STEP, _VARINT, _varint(step))
        + _message(_EVENT_SUMMARY, summary)
    )
    return _record(event)


def whole(points: Iterable[tuple[float, int, str, float]]) -> bytes:
    """Write a complete file of points: seconds since 1970, step, curve, value; in the order of their steps."""
    by_step: dict[int, tuple[float, dict[str, float]]] = {}
    for seconds, step, tag, value in points:
        by_step.setdefault(step, (seconds, {}))[1][tag] = value
    first = min((seconds for seconds, _ in by_step.values()), default=0.0)
    records = [scalars(seconds, step, values) for step, (seconds, values) in sorted(by_step.items())]
    return b"".join([opening(first), *records])


def _scalar(tag: str, value: float) -> bytes:
    plugin = _message(_METADATA_PLUGIN, _text(_PLUGIN_NAME, "scalars"))
    return (
        _text(_VALUE_TAG, tag)
        + _field(_VALUE_NUMBER, _FIXED_32, struct.pack("<f", value))
        + _message(_VALUE_METADATA, plugin)
    )


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _checksum(length)) + data + struct.pack("<I", _checksum(data))


def _checksum(data: bytes) -> int:
    """Compute a masked CRC-32C, as record files have it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_CASTAGNOLI if byte & 1 else 0)
    return byte


def _field(number: int, kind: int, content: bytes) -> bytes:
    return _varint(number << 3 | kind) + content


def _message(number: int, content: bytes) -> bytes:
    return _field(number, _BYTES, _varint(len(content)) + content)


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode())


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


_TABLE = tuple(map(_table_entry, range(256)))
