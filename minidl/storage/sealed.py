"""Files with a checksum and contents of known types: read exactly as written, or refused.

A file is a line that says what it is, the SHA-256 of the rest, and the value in
MessagePack.  Reading checks all of it before a value is created, and creates only
numbers, text, arrays, and the dataclasses that the caller names: a file cannot run code.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections.abc import Iterator, Sized
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from minidl._printable import printable
from minidl.backend import is_array, to_numpy
from minidl.storage.files import NotAPlainFile, read_bytes, whole_file

MAGIC, VERSION = b"minidl sealed file, version ", 2
HEAD = MAGIC + b"%d\n" % VERSION
DIGEST = hashlib.sha256().digest_size  # bytes
LIMIT = 1 << 30  # bytes: no file of minidl is larger
AXES = 16  # no array of minidl has more
# By name: np.dtype would evaluate text that is not a name.
DTYPES = {f"{order}{kind}{size}" for order in "<>" for kind in "iuf" for size in (2, 4, 8)}
DTYPES |= {"|b1", "|i1", "|u1"}

# msgspec 0.22 analyses a type at its first use, and crashes if two threads do so at once.
_decoding = threading.Lock()
MAP, SEQUENCE, BINARY = b"\xdf", b"\xdd", b"\xc6"  # of MessagePack, each before a length of 4 bytes


class DamagedFile(ValueError):
    """A sealed file is not what was written."""


def write_sealed(path: str | os.PathLike[str], value: Any) -> None:
    """Write numbers, text, lists, dicts, arrays and dataclasses, completely or not at all."""
    digest = hashlib.sha256()
    with whole_file(path, "wb") as file:
        file.write(HEAD + bytes(DIGEST))
        for piece in _pieces(value):
            digest.update(piece)
            file.write(piece)
        file.seek(len(HEAD))
        file.write(digest.digest())


def read_sealed(path: str | os.PathLike[str], kind: Any, limit: int = LIMIT) -> Any:
    """The value of type ``kind`` that :func:`write_sealed` wrote.

    Raises
    ------
    FileNotFoundError
        if there is no such file.
    DamagedFile
        if it is not a regular file, has more than ``limit`` bytes, another format
        or version, or a wrong checksum, or if its value is not of that type.
    """
    path = Path(path)
    try:
        file = memoryview(read_bytes(path, limit))
    except (NotAPlainFile, ValueError) as error:
        raise DamagedFile(str(error)) from error
    begin = len(HEAD) + DIGEST
    head, digest, contents = bytes(file[: len(HEAD)]), file[len(HEAD) : begin], file[begin:]
    if head != HEAD:
        is_other = head.startswith(MAGIC)
        what = (
            "another version of minidl wrote it" if is_other else "it is another file, or damaged"
        )
        raise DamagedFile(f"{path}: expected {HEAD!r} at its beginning, got {head!r}; {what}")
    if hashlib.sha256(contents).digest() != digest:
        raise DamagedFile(f"{path}: damaged: its contents do not match its checksum")
    return decoded(contents, kind, path)


def decoded(contents: bytes | memoryview, kind: Any, path: Path) -> Any:
    """The value in ``contents``, which came from ``path``."""
    try:
        with _decoding:
            return msgspec.msgpack.decode(contents, type=kind, dec_hook=_decoded)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DamagedFile(
            f"{path}: expected {_name(kind)}, got something else: {printable(str(error), 200)}"
        ) from error


def encoded(value: Any) -> bytes:
    """``value`` as the contents of a sealed file."""
    return b"".join(_pieces(value))


def _pieces(value: Any) -> Iterator[bytes | memoryview]:
    """``value`` in MessagePack, piece by piece: arrays straight from memory, without a copy."""
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    elif is_array(value):
        array = np.ascontiguousarray(to_numpy(value))
        value = array.dtype.str, value.shape, array.data.cast("B") if array.size else b""
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        yield MAP + _length(value)
        for name, one in value.items():
            yield from _pieces(name)
            yield from _pieces(one)
    elif isinstance(value, list | tuple):
        yield SEQUENCE + _length(value)
        for one in value:
            yield from _pieces(one)
    elif isinstance(value, bytes | memoryview):
        yield BINARY + _length(value)
        yield value
    else:
        yield msgspec.msgpack.encode(value, enc_hook=_refused)


def _length(value: Sized) -> bytes:
    return len(value).to_bytes(4, "big")


def _refused(value: Any) -> Any:
    raise TypeError(f"expected numbers, text and arrays, got {type(value).__name__}")


def _decoded(kind: type, value: Any) -> Any:
    if kind is not np.ndarray:
        raise TypeError(f"expected arrays, got {kind}")
    name, shape, numbers = msgspec.convert(value, tuple[str, tuple[int, ...], bytes])
    if name not in DTYPES or len(shape) > AXES or any(n < 0 for n in shape):
        raise ValueError(f"expected an array of numbers, got {name[:20]!r} with {len(shape)} axes")
    dtype = np.dtype(name)
    if math.prod(shape) * dtype.itemsize != len(numbers):
        raise ValueError(f"expected {shape} numbers of {dtype}, got {len(numbers)} bytes")
    return np.frombuffer(numbers, dtype).reshape(shape).copy()


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))
