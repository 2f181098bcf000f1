"""Damaged and hostile files: refused as documented, or read correctly.

A short campaign over the targets of ``campaigns/fuzz_targets.py``; the long one, guided by
coverage, is ``campaigns/fuzz.py``, and docs/robustness.md has its figures.
"""

from __future__ import annotations

import time
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fuzz_targets import TARGETS, WronglyAccepted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

quickly = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
each_target = pytest.mark.parametrize("name", TARGETS)


@each_target
def test_the_valid_file_is_accepted(name, tmp_path):
    target = TARGETS[name]
    assert target.feed(target.valid, tmp_path)
    assert target.file(b"\0" + target.valid) == target.valid
    assert target.feed(target.file(b"\1"), tmp_path)


@each_target
@quickly
@given(script=st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=16))
def test_edits_with_valid_checksums(name, script, tmp_path):
    target = TARGETS[name]
    target.feed(target.file(b"\1" + b"".join(script)), tmp_path)


@each_target
@quickly
@given(data=st.data())
def test_damage_to_the_file(name, data, tmp_path):
    content = bytearray(TARGETS[name].valid)
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(len(content) // 2, len(content)))
    TARGETS[name].feed(bytes(content[:end]) + data.draw(st.binary(max_size=8)), tmp_path)


@each_target
@quickly
@given(content=st.binary(max_size=600))
def test_arbitrary_content(name, content, tmp_path):
    TARGETS[name].feed(content, tmp_path)


@pytest.mark.parametrize("name", ["idx.gz", "tar.gz"])
def test_decompression_bombs_take_no_time(name, tmp_path):
    """100 MB of zeros in 100 kB, of which only what is needed is read."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    start = time.process_time()
    assert not TARGETS[name].feed(bomb, tmp_path)
    assert time.process_time() - start < 0.5 * _seconds_to_inflate(bomb)


def _seconds_to_inflate(bomb: bytes) -> float:
    start = time.process_time()
    zlib.decompress(bomb, 31)
    return time.process_time() - start


# -- the campaign itself catches faults -------------------------------------------------------


def _damaged(name: str, tmp_path: Path) -> None:
    """Every bit of the valid file flipped, as in ``campaigns/fuzz.py --exhaustive``."""
    valid = TARGETS[name].valid
    for bit in range(8 * len(valid)):
        flipped = bytearray(valid)
        flipped[bit // 8] ^= 1 << bit % 8
        TARGETS[name].feed(bytes(flipped), tmp_path)


def test_a_reader_that_ignores_a_checksum_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile.ZipExtFile, "_update_crc", lambda *_: None)
    with pytest.raises(WronglyAccepted):
        _damaged("weights", tmp_path)


def test_a_network_changed_by_a_file_that_it_refuses_is_caught(tmp_path, monkeypatch):
    from minidl import Network

    load = Network.load

    def hasty(self, path):
        self.theta[...] = 0
        load(self, path)

    monkeypatch.setattr(Network, "load", hasty)
    with pytest.raises(WronglyAccepted, match="the network has changed"):
        TARGETS["weights"].feed(b"hello", tmp_path)


def test_an_undocumented_exception_is_caught(tmp_path):
    def fail(path):
        raise IndexError

    with pytest.raises(IndexError):
        replace(TARGETS["idx"], read=fail).feed(b"", tmp_path)


def test_a_reader_that_accepts_anything_is_caught(tmp_path):
    shape = (3, 4, 5)
    gullible = replace(TARGETS["idx"], read=lambda path: np.zeros(shape, np.uint8))
    with pytest.raises(WronglyAccepted):
        gullible.feed(TARGETS["idx"].valid, tmp_path)


def test_an_archive_that_writes_outside_its_folder_is_caught(tmp_path, monkeypatch):
    import fuzz_targets

    def careless(archive, members, folder):
        (folder.parent / "evil").write_text("x")

    monkeypatch.setattr(fuzz_targets, "extract", careless)
    with pytest.raises(WronglyAccepted, match="evil"):
        TARGETS["tar.gz"].feed(b"", tmp_path)
