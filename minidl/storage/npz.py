"""Reading an ``.npz`` file without trusting it: arrays by name, each of the size that it may have.

``np.load`` allocates whatever a header claims, and inflates what is compressed.  Here the caller,
not the file, says how much is read.  A member is read by ``numpy.lib.format`` only if
it is stored uncompressed, begins with exactly the header that ``np.save`` writes for the expected
array, and has the size of that array; the zip's CRC-32 covers all its bytes.

``read_array_header_1_0`` is not used to compare: it evaluates the text of the header and hands
parts of it to ``np.dtype``, which evaluates them as well, so bytes that are not a header may cause
a ``SyntaxError``, a ``MemoryError`` or a warning.  And ``zipfile`` allocates whatever size of
its directory the file claims, hence ``_Bounded``.
"""

from __future__ import annotations

import errno
import io
import math
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import numpy as np

DIRECTORY = 4 << 20  # bytes of the zip's directory at most; an array takes about a hundred
FLOATS = ("<f4", "<f8", ">f4", ">f8")


class NpzError(ValueError):
    """The file is not one that ``np.savez`` wrote, is damaged, or holds something else."""


class NpzReader:
    """The arrays of an opened ``.npz`` file; ``names`` are theirs.

    Raises
    ------
    NpzError
        if it is not a zip archive, or a name occurs twice.
    OSError
        if the file cannot be read.
    """

    def __init__(self, file: IO[bytes]) -> None:
        if file.read(4) != b"PK\3\4":  # zipfile would accept one that begins with something else
            raise NpzError("damaged, or not a file that np.savez wrote (no zip archive)")
        with _as_npz_error():
            self._zip = zipfile.ZipFile(_Bounded(file))
        members = self._zip.infolist()
        self._members = {info.filename.removesuffix(".npy"): info for info in members}
        self.names = set(self._members)
        if len(self.names) < len(members):
            raise NpzError("expected each array once, got one of them twice")

    def floats(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The array ``name``, which must have ``shape`` and be float32 or float64."""
        return self._array(name, shape, FLOATS, "float32 or float64")

    def array(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """The array ``name``, which must have ``shape`` and this type, in any byte order."""
        orders = dtype.newbyteorder("<").str, dtype.newbyteorder(">").str
        return self._array(name, shape, orders, str(dtype))

    def text(self, name: str, limit: int) -> str:
        """The array ``name``, which must be one string of at most ``limit`` characters."""
        length = (self._member(name).file_size - len(_header("<U1", ()))) // 4
        if length > limit:
            raise NpzError(f"expected {name} as text of up to {limit:,}, got {length:,} characters")
        text = self._array(name, (), [f"<U{length}", f">U{length}"], "text")
        with _as_npz_error():  # NumPy accepts any number as a character, this decoder does not
            return text.astype(f"<U{length}").tobytes().decode("utf-32-le").rstrip("\0")

    def _array(
        self, name: str, shape: tuple[int, ...], descrs: Sequence[str], expected: str
    ) -> np.ndarray:
        headers = {_header(descr, shape): descr for descr in descrs}
        length = len(_header(descrs[0], shape))
        with self._open(name) as file:
            header = file.read(length)
        if header not in headers:
            raise NpzError(f"expected {name} as {expected} {shape} in C order, got {header!r}")
        size = self._member(name).file_size - length
        right = math.prod(shape) * np.dtype(headers[header]).itemsize
        if size != right:
            raise NpzError(f"expected {name} with {right:,} bytes of values, got {size:,}")
        with self._open(name) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    def _member(self, name: str) -> zipfile.ZipInfo:
        if name not in self._members:
            raise NpzError(f"expected an array {name} in it, found none")
        info = self._members[name]
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise NpzError(f"expected {name} stored uncompressed, got it compressed")
        return info

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        """The member as a file; zipfile compares the CRC at its last byte."""
        with _as_npz_error(), self._zip.open(self._member(name)) as file:
            yield file


def _header(descr: str, shape: tuple[int, ...]) -> bytes:
    """What ``np.save`` writes before the values of such an array."""
    held = io.BytesIO()
    fields = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(held, fields)
    return held.getvalue()


class _Bounded:
    """The file that zipfile reads from; it refuses to read more than a directory may take."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > DIRECTORY:
            raise NpzError(f"expected a directory of up to {DIRECTORY:,} bytes, got {size:,}")
        return self.file.read(DIRECTORY if size < 0 else size)


@contextmanager
def _as_npz_error() -> Iterator[None]:
    """A context in which what zipfile raises on damaged bytes becomes an ``NpzError``."""
    try:
        yield
    except NpzError:
        raise
    except OSError as error:
        if error.errno != errno.EINVAL:  # which means an offset before the file's start
            raise
        raise NpzError("damaged: an offset in it points outside the file") from error
    except (
        *(zipfile.BadZipFile, RuntimeError, EOFError, ValueError, OverflowError),
        struct.error,
    ) as error:
        raise NpzError(f"damaged, or not a file that np.savez wrote ({error})") from error
