"""An .npz file is not trusted: its claims are checked before anything is read."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from minidl.storage.npz import DIRECTORY, NpzError, NpzReader

SHAPE = (8, 5)
VALUES = np.arange(40, dtype=np.float32).reshape(SHAPE)


def npz(**arrays) -> bytes:
    held = io.BytesIO()
    np.savez(held, **arrays)
    return held.getvalue()


def npy(values, **header) -> bytes:
    """A member as np.save writes it, or with the given header fields."""
    held = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        held, np.lib.format.header_data_from_array_1_0(values) | header
    )
    return held.getvalue() + values.tobytes()


def zipped(*members, compression=zipfile.ZIP_STORED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a name that occurs twice
        for name, content in members:
            archive.writestr(name, content)
    return held.getvalue()


def floats(content, name="a", shape=SHAPE):
    return NpzReader(io.BytesIO(content)).floats(name, shape)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
def test_arrays_saved_by_numpy_are_read_bit_for_bit(dtype):
    for shape in ((8, 5), (40,), (), (0,), (2, 0, 3), (1, 1)):
        values = np.random.default_rng(0).standard_normal(shape).astype(dtype)
        got = floats(npz(b=VALUES, a=values), shape=shape)
        assert got.dtype == dtype
        assert got.shape == shape
        assert got.tobytes() == values.tobytes()


def test_text_is_read_unchanged():
    for text in ("", "minidl", "σ′ 🙂"):
        assert NpzReader(io.BytesIO(npz(a=np.array(text)))).text("a", 10) == text


def claims(field, value):
    """A valid file whose directory claims another size, method or flag for its one member."""
    content = bytearray(zipped(("a.npy", npy(VALUES))))
    at = content.rindex(b"PK\1\2") + {"flags": 8, "method": 10, "packed": 20, "size": 24}[field]
    length = 2 if field in ("flags", "method") else 4
    content[at : at + length] = value.to_bytes(length, "little")
    return bytes(content)


BAD = {
    "no zip archive": (b"hello", "damaged, or not a file that np.savez wrote"),
    "something before the archive": (b"MZ" + zipped(("a.npy", npy(VALUES))), "no zip archive"),
    "no such array": (npz(b=VALUES), "expected an array a in it, found none"),
    "twice": (zipped(*[("a.npy", npy(VALUES))] * 2), "each array once, got one of them twice"),
    "twice, once without its ending": (
        zipped(("a.npy", npy(VALUES)), ("a", npy(VALUES))),
        "each array once, got one of them twice",
    ),
    "compressed": (
        zipped(("a.npy", npy(VALUES)), compression=zipfile.ZIP_DEFLATED),
        "expected a stored uncompressed, got it compressed",
    ),
    "an unknown method": (claims("method", 97), "got it compressed"),
    "encrypted": (claims("flags", 1), "is encrypted"),
    "a size of 4 GB": (claims("size", 2**32 - 2), "got it compressed"),
    "another shape": (
        npz(a=VALUES.T.copy()),
        r"expected a as .* \(8, 5\) in C order, got .*\(5, 8",
    ),
    "Fortran order": (npz(a=np.asfortranarray(VALUES)), "in C order, got .*'fortran_order': True"),
    "integers": (npz(a=VALUES.astype(int)), "float32 or float64 .*'<i8'"),
    "half precision": (npz(a=VALUES.astype(np.float16)), "float32 or float64 .*'<f2'"),
    "objects": (npz(a=np.array([{}])), r"float32 or float64 .*'\|O'"),
    "a shape of terabytes": (
        zipped(("a.npy", npy(VALUES, shape=(2**40,)))),
        r"expected a as float32 or float64 \(8, 5\)",
    ),
    "values missing": (
        zipped(("a.npy", npy(VALUES)[:-1])),
        "expected a with 160 bytes of values, got 159",
    ),
    "values too many": (
        zipped(("a.npy", npy(VALUES) + b"x")),
        "expected a with 160 bytes of values, got 161",
    ),
    "another format": (
        zipped(("a.npy", b"\x93NUMPY\2\0" + bytes(200))),
        r"expected a as float32 or float64 .*NUMPY\\x02",
    ),
    "no array": (zipped(("a.npy", b"x")), "in C order, got b'x'$"),
    "a long header": (
        zipped(("a.npy", b"\x93NUMPY\1\0\xff\xff" + b"(" * 65535)),
        r"in C order, got b.*xff\({118}'$",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_anything_else_is_refused(content, message):
    with pytest.raises(NpzError, match=message):
        floats(content)


def test_text_is_one_string_of_limited_length_in_unicode():
    content = bytearray(npy(np.array("xy")))
    content[-8:] = b"\xff" * 8
    for file, message in (
        (npz(a=np.array("x" * 11)), "expected a as text of up to 10, got 11 characters"),
        (npz(a=np.array(["x"])), "expected a as text"),
        (npz(a=VALUES), "expected a as text"),
        (zipped(("a.npy", bytes(content))), "utf-32-le"),
    ):
        with pytest.raises(NpzError, match=message):
            NpzReader(io.BytesIO(file)).text("a", 10)


def test_one_wrong_bit_anywhere_in_the_values_is_noticed():
    content = npz(a=VALUES)
    start = content.index(VALUES.tobytes())
    for bit in range(0, 8 * VALUES.nbytes, 7):  # every bit of a byte, and every byte
        flipped = bytearray(content)
        flipped[start + bit // 8] ^= 1 << bit % 8
        with pytest.raises(NpzError, match="Bad CRC-32"):
            floats(bytes(flipped))


def test_a_directory_that_claims_to_be_huge_is_not_read(tmp_path):
    """The file is sparse: 3 GB long, but empty on disk."""
    path, size = tmp_path / "a.npz", 3 << 30
    with open(path, "wb") as file:
        file.write(b"PK\3\4")
        file.seek(size)
        file.write(b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 1, size, 0, 0))
    tracemalloc.start()
    with open(path, "rb") as file, pytest.raises(NpzError, match=f"up to {DIRECTORY:,} bytes, got"):
        NpzReader(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * DIRECTORY


def test_reading_takes_the_memory_of_the_array_and_little_more():
    values = np.zeros((1000, 1000), np.float32)
    content = io.BytesIO(npz(a=values))
    tracemalloc.start()
    got = NpzReader(content).floats("a", values.shape)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got.shape == values.shape
    assert peak < 1.3 * values.nbytes


def test_an_offset_out_of_the_file_is_refused():
    content = bytearray(npz(a=VALUES))
    at = content.rindex(b"PK\5\6") + 16
    content[at : at + 4] = b"\0\0\0\0"  # where the directory starts: members now lie before 0
    at = content.rindex(b"PK\1\2") + 42
    content[at : at + 4] = b"\xff\xff\xff\x7f"
    with pytest.raises(NpzError):
        floats(bytes(content))
