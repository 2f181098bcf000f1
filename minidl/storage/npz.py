"""Reading an ``.npz`` file without trusting it: arrays by name, each of the size that it may have.

``np.load`` makes room for whatever a header claims, and inflates what is compressed.  Here nothing
in the file says how much is read: the caller does.  Only what ``np.savez`` writes is taken: one
uncompressed member per array, in C order; every byte of an array is under the zip's CRC-32.
"""

from __future__ import annotations

import errno
import math
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from minidl.storage.files import fill

DIRECTORY = 4 << 20  # bytes of the zip's directory at most; an array takes about a hundred
HEADER = 1024  # bytes of an array's header at most; np.save writes 118
FLOATS = ("<f4", "<f8", ">f4", ">f8")
TEXT = re.compile(r"\{'descr': '([<>])U(\d{1,9})', 'fortran_order': False, 'shape': \(\), \}")


class NpzError(ValueError):
    """The file is not one that ``np.savez`` wrote, is damaged, or holds something else."""


class NpzReader:
    """The arrays of an opened ``.npz`` file; ``names`` are theirs.

    Raises
    ------
    NpzError
        where it is not a zip archive, or a name comes twice.
    OSError
        where the file cannot be read.
    """

    def __init__(self, file: IO[bytes]) -> None:
        if file.read(4) != b"PK\3\4":  # zipfile would take one that begins with something else
            raise NpzError("damaged, or not a file that np.savez wrote (no zip archive)")
        with _as_npz_error():
            self._zip = zipfile.ZipFile(_Bounded(file))
        members = self._zip.infolist()
        self._members = {info.filename.removesuffix(".npy"): info for info in members}
        self.names = set(self._members)
        if len(self.names) < len(members):
            raise NpzError("expected each array once, got one of them twice")

    def floats(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The array ``name``, which must be of ``shape`` and of float32 or float64."""
        return self._array(name, shape, FLOATS, "float32 or float64")

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """The array ``name``, which must be of ``shape`` and of this type, in any byte order."""
        orders = dtype.newbyteorder("<"), dtype.newbyteorder(">")
        return self._array(name, shape, {order.str for order in orders}, str(dtype))

    def _array(
        self, name: str, shape: tuple[int, ...], descrs: Iterable[str], expected: str
    ) -> np.ndarray:
        dtypes = {_header(descr, shape): np.dtype(descr) for descr in descrs}
        with self._open(name) as (file, header, left):
            if header not in dtypes:
                raise NpzError(f"expected {name} as {expected} {shape} in C order, got {header!r}")
            dtype = dtypes[header]
            _check_size(name, left, math.prod(shape) * dtype.itemsize)
            values = np.empty(shape, dtype)
            fill(values.reshape(-1).view(np.uint8).data, file)
        return values

    def text(self, name: str, limit: int) -> str:
        """The array ``name``, which must be one string of at most ``limit`` characters."""
        with self._open(name) as (file, header, left):
            found = TEXT.fullmatch(header)
            if found is None or int(found[2]) > limit:
                raise NpzError(f"expected {name} as text of up to {limit:,}, got {header!r}")
            _check_size(name, left, 4 * int(found[2]))
            encoding = "utf-32-le" if found[1] == "<" else "utf-32-be"
            return file.read(left).decode(encoding).rstrip("\0")

    @contextmanager
    def _open(self, name: str) -> Iterator[tuple[IO[bytes], str, int]]:
        """The member behind its header, the header, and how many bytes follow it.

        With the last of them zipfile compares the CRC.
        """
        if name not in self._members:
            raise NpzError(f"expected an array {name} in it, found none")
        info = self._members[name]
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise NpzError(f"expected {name} stored as it is, got it compressed")
        with _as_npz_error(), self._zip.open(info) as file:
            start = file.read(10)
            if len(start) < 10 or start[:8] != b"\x93NUMPY\1\0":
                raise NpzError(f"expected {name} as an array of format 1.0, got {start!r}")
            (length,) = struct.unpack("<H", start[8:])
            if length > HEADER:
                raise NpzError(f"expected {name} with a header of up to {HEADER}, got {length:,}")
            header = file.read(length).decode("latin-1").rstrip(" \n")
            yield file, header, info.file_size - 10 - length


def _header(descr: str, shape: tuple[int, ...]) -> str:
    """As ``np.save`` writes it, but for the blanks after it; so nothing of it has to be parsed."""
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"


def _check_size(name: str, size: int, expected: int) -> None:
    if size != expected:
        raise NpzError(f"expected {name} with {expected:,} bytes of values, got {size:,}")


class _Bounded:
    """What zipfile reads from; asked for more than a directory may take, it refuses."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > DIRECTORY:
            raise NpzError(f"expected a directory of up to {DIRECTORY:,} bytes, got {size:,}")
        return self.file.read(DIRECTORY if size < 0 else size)


@contextmanager
def _as_npz_error() -> Iterator[None]:
    """What zipfile raises on bytes that are not its own, as an ``NpzError``."""
    try:
        yield
    except NpzError:
        raise
    except OSError as error:
        if error.errno != errno.EINVAL:  # that comes of an offset before the file's beginning
            raise
        raise NpzError("damaged: an offset in it leads out of it") from error
    except (
        *(zipfile.BadZipFile, RuntimeError, EOFError, ValueError, OverflowError),
        struct.error,
    ) as error:
        raise NpzError(f"damaged, or not a file that np.savez wrote ({error})") from error
