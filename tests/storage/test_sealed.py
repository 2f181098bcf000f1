"""Sealed files: what is read is what was written, or an error."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
import tracemalloc
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from minidl.storage.sealed import HEAD, VERSION, DamagedFile, read_sealed, write_sealed


class Pair(NamedTuple):
    number: float
    array: np.ndarray


@dataclass
class Kept:
    name: str
    pairs: list[Pair]


def sealed(contents: bytes) -> bytes:
    return HEAD + hashlib.sha256(contents).digest() + contents


def test_contents_are_read_back_with_their_types(tmp_path):
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    kept = Kept("σ′", [Pair(math.nan, a), Pair(np.float32(0.5), a[:, ::2]), Pair(math.inf, a[:0])])
    write_sealed(tmp_path / "a", kept)
    found = read_sealed(tmp_path / "a", Kept)
    assert found.name == "σ′"
    assert math.isnan(found.pairs[0].number)
    assert [pair.number for pair in found.pairs[1:]] == [0.5, math.inf]
    for pair, array in zip(found.pairs, (a, a[:, ::2], a[:0]), strict=True):
        assert pair.array.dtype == np.float32
        np.testing.assert_array_equal(pair.array, array)
        pair.array[...] = 1  # a writable copy


@given(st.data())
def test_every_array_of_numbers_is_read_back(tmp_path_factory, data):
    dtype = np.dtype(data.draw(st.sampled_from(["f4", "f8", "i8", "u1", "?", ">f4"])))
    array = data.draw(arrays(dtype, array_shapes(min_dims=0, min_side=0)))
    path = tmp_path_factory.mktemp("sealed") / "a"
    write_sealed(path, array)
    found = read_sealed(path, np.ndarray)
    assert (found.dtype, found.shape, found.tobytes()) == (dtype, array.shape, array.tobytes())


def test_writing_does_not_copy_the_arrays(tmp_path):
    state = {"theta": np.zeros(3_000_000, np.float32), "slots": [np.zeros(3_000_000, np.float32)]}
    tracemalloc.start()
    write_sealed(tmp_path / "a", state)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20
    assert (tmp_path / "a").stat().st_size > 24_000_000


def test_objects_are_not_written(tmp_path):
    with pytest.raises(TypeError, match="expected numbers, text and arrays, got object"):
        write_sealed(tmp_path / "a", {"a": object()})
    assert not list(tmp_path.iterdir())


def test_a_file_of_any_other_length_or_with_a_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "a"
    write_sealed(path, Kept("relu", [Pair(1.0, np.ones(3))]))
    whole = path.read_bytes()
    flipped = []
    for at in range(len(whole)):
        flipped.append(bytearray(whole))
        flipped[-1][at] ^= 1 << at % 8
    for contents in [*(whole[:n] for n in range(len(whole))), whole + b"\0", *flipped]:
        path.write_bytes(contents)
        with pytest.raises(DamagedFile):
            read_sealed(path, Kept)


NO_ARRAYS = [
    (["|O", [1], b"12345678"], r"expected an array of numbers, got '\|O'"),
    (["<f4", [1 << 60], b""], "numbers of float32, got 0 bytes"),
    (["<f4", [-1], b""], "expected an array of numbers"),
    (["<f4", [1] * 17, b"1234"], "with 17 axes"),
    (["f4, f4", [1], b"12345678"], "expected an array of numbers"),
    (["no type", [1], b"1"], "expected an array of numbers"),
    (["'(,", [1], b"1"], "expected an array of numbers"),  # np.dtype: SyntaxError
    (["<f4", 3, b"1"], "Expected `array`"),
    ({"a": 1}, "Expected `array`"),
    (["<f4", [1, 0, 1 << 62], b""], "too big|array"),
]


def test_invalid_arrays_are_refused_before_memory_is_allocated(tmp_path):
    for value, words in NO_ARRAYS:
        (tmp_path / "a").write_bytes(sealed(msgspec.msgpack.encode(value)))
        with pytest.raises(DamagedFile, match=words):
            read_sealed(tmp_path / "a", np.ndarray)


def test_another_type_another_format_and_too_large(tmp_path):
    path = tmp_path / "a"
    write_sealed(path, {"name": 1, "pairs": []})
    with pytest.raises(DamagedFile, match=r"expected Kept, .*Expected `str`, got `int`"):
        read_sealed(path, Kept)
    with pytest.raises(DamagedFile, match="expected at most 10 bytes, got"):
        read_sealed(path, Kept, limit=10)
    newer = HEAD.replace(b"%d\n" % VERSION, b"%d\n" % (VERSION + 1))
    path.write_bytes(newer + path.read_bytes()[len(HEAD) :])
    with pytest.raises(DamagedFile, match="another version of minidl wrote it"):
        read_sealed(path, Kept)
    path.write_bytes(b"PK\x03\x04 and so on, a zip file")
    with pytest.raises(DamagedFile, match="it is another file, or damaged"):
        read_sealed(path, Kept)
    with pytest.raises(FileNotFoundError):
        read_sealed(tmp_path / "none", Kept)


THREADS = """
import sys, threading, types
from pathlib import Path
from minidl.storage.sealed import read_sealed, write_sealed

TYPES = '''
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Inner:
    c: float

@dataclass
class Middle:
    b: list[Inner]
    d: list[Inner]

@dataclass
class Outer:
    a: int
    b: list[Middle]
'''
sys.setswitchinterval(1e-6)
path = Path(sys.argv[1])
write_sealed(path, {"a": 1, "b": [{"b": [{"c": 2.0}], "d": []}]})
for n in range(400):
    module = sys.modules[f"types_{n}"] = types.ModuleType(f"types_{n}")
    exec(TYPES, module.__dict__)
    barrier = threading.Barrier(2)
    read = lambda: (barrier.wait(), read_sealed(path, module.Outer))
    threads = [threading.Thread(target=read) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""


@pytest.mark.slow
def test_two_threads_may_read_at_once(tmp_path):
    """In a separate process, because a failure would be a crash."""
    command = [sys.executable, "-c", THREADS, str(tmp_path / "a")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_deep_nesting_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(sealed(b"\x91" * 1_000_000 + b"\x00"))
    with pytest.raises(DamagedFile):
        read_sealed(tmp_path / "a", Any)
