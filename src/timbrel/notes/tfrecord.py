"""TFRecord files of notes, read without TensorFlow.

A record is its length (uint64), a checksum of the length, the data, and a checksum of the data; the
checksums are CRC-32C, rotated and offset. The data are a ``tf.train.Example`` in protocol buffers,
with the fields of a note and its audio as 64,000 floats.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from timbrel.errors import InputError, MissingToolError

SUFFIX = ".tfrecord"
_LENGTH, _CRC = struct.Struct("<Q"), struct.Struct("<I")
_MASK_OFFSET = 0xA282EAD8
_PACKAGE = "timbrel.tfrecord"


class RecordError(InputError):
    """A record that cannot be used; `kind` names what is wrong."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind = kind


@dataclass(frozen=True)
class Record:
    """Where the data of a record lie in its file, in bytes."""

    start: int
    length: int


def find_records(path: str | os.PathLike) -> Iterator[Record]:
    """Find the records of a file, reading their lengths only.

    Raises
    ------
    RecordError
        At a length whose checksum is wrong ("record-length"), or where the file ends within a
        record ("truncated-record"). The records before it have been given by then.
    """
    size = Path(path).stat().st_size
    with open(path, "rb") as file:
        position = number = 0
        while position < size:
            file.seek(position)
            header = file.read(_LENGTH.size + _CRC.size)
            where = f"{path}: record {number}"
            if len(header) < _LENGTH.size + _CRC.size:
                raise RecordError("truncated-record", f"{where} is cut off")
            length = _LENGTH.unpack_from(header)[0]
            if masked_crc(header[: _LENGTH.size]) != _CRC.unpack_from(header, _LENGTH.size)[0]:
                raise RecordError("record-length", f"{where} has a length with a wrong checksum")
            start = position + len(header)
            position = start + length + _CRC.size
            if position > size:
                raise RecordError("truncated-record", f"{where} is cut off")
            yield Record(start, length)
            number += 1


def read_example(path: str | os.PathLike, record: Record) -> dict[str, Any]:
    """The features of a record: lists of int or bytes, and float32 arrays.

    Raises
    ------
    RecordError
        If the data do not have their checksum ("record-data"), or are no ``tf.train.Example``
        ("no-example").
    """
    where = f"{path}: the record at byte {record.start}"
    with open(path, "rb") as file:
        file.seek(record.start)
        data = file.read(record.length)
        crc = file.read(_CRC.size)
    if len(crc) < _CRC.size or masked_crc(data) != _CRC.unpack(crc)[0]:
        raise RecordError("record-data", f"{where} has data with a wrong checksum")
    decode_error, example_type = _schema()
    try:
        example = example_type.FromString(data)
    except decode_error:
        raise RecordError("no-example", f"{where} holds no tf.train.Example") from None
    features: dict[str, Any] = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        if kind is not None:
            values = getattr(feature, kind).value
            features[name] = np.array(values, np.float32) if kind == "float_list" else list(values)
    return features


def masked_crc(data: bytes) -> int:
    """The checksum of TFRecord files: CRC-32C, rotated by 15 bits and offset."""
    try:
        from crc32c import crc32c
    except ImportError:
        raise MissingToolError(
            "TFRecord files need the package crc32c; install it with: pip install 'timbrel[train]'"
        ) from None
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_OFFSET) & 0xFFFFFFFF


@lru_cache(maxsize=1)
def _schema() -> tuple[type[Exception], Any]:
    """Protocol buffers' decoding error and the message ``tf.train.Example``.

    The message is described here instead of by generated code, in a package of Timbrel's own, so
    that it can live beside TensorFlow's.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="timbrel/example.proto", package=_PACKAGE, syntax="proto3"
    )

    def add_message(name: str, *fields: tuple[str, int, int, str]) -> Any:
        described = file.message_type.add(name=name)
        for field_name, number, kind, of in fields:
            repeated = name.endswith("List")
            described.field.add(
                name=field_name,
                number=number,
                type=kind,
                type_name=f".{_PACKAGE}.{of}" if of else None,
                label=field_type.LABEL_REPEATED if repeated else field_type.LABEL_OPTIONAL,
            )
        return described

    add_message("BytesList", ("value", 1, field_type.TYPE_BYTES, ""))
    add_message("FloatList", ("value", 1, field_type.TYPE_FLOAT, ""))
    add_message("Int64List", ("value", 1, field_type.TYPE_INT64, ""))
    feature = add_message(
        "Feature",
        ("bytes_list", 1, field_type.TYPE_MESSAGE, "BytesList"),
        ("float_list", 2, field_type.TYPE_MESSAGE, "FloatList"),
        ("int64_list", 3, field_type.TYPE_MESSAGE, "Int64List"),
    )
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    features = add_message("Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field_type.TYPE_STRING, label=1)
    entry.field.add(
        name="value",
        number=2,
        type=field_type.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.Feature",
        label=1,
    )
    features.field.add(
        name="feature",
        number=1,
        type=field_type.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.Features.FeatureEntry",
        label=field_type.LABEL_REPEATED,
    )
    add_message("Example", ("features", 1, field_type.TYPE_MESSAGE, "Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    example = pool.FindMessageTypeByName(f"{_PACKAGE}.Example")
    return message.DecodeError, message_factory.GetMessageClass(example)
