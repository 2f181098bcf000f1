"""Damaged and hostile files: refused as documented, or read correctly.

A short campaign over the targets of ``campaigns/fuzz_targets.py``; the long one, guided by
coverage, is ``campaigns/fuzz.py``, and docs/robustness.md has its figures.
"""

from __future__ import annotations

import zipfile
from dataclasses import replace

import numpy as np
import pytest
from fuzz_targets import TARGETS, WronglyAccepted
from hypothesis import given, settings
from hypothesis import strategies as st

each_target = pytest.mark.parametrize("name", TARGETS)


@st.composite
def damaged(draw, valid):
    """A valid file with a few other bytes, cut off in its second half, or followed by more."""
    content = bytearray(valid)
    for at in draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[at] = draw(st.integers(0, 255))
    end = draw(st.integers(len(content) // 2, len(content)))
    return bytes(content[:end]) + draw(st.binary(max_size=8))


@each_target
@pytest.mark.parametrize("examples", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_any_file_is_refused_or_read_correctly(name, examples, tmp_path):
    target = TARGETS[name]
    assert target.feed(target.valid, tmp_path)
    assert target.file(b"\0" + target.valid) == target.valid
    assert target.feed(target.file(b"\1"), tmp_path)
    edits = st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=16)
    with_valid_checksums = edits.map(lambda script: target.file(b"\1" + b"".join(script)))

    @settings(max_examples=examples)
    @given(with_valid_checksums | damaged(target.valid) | st.binary(max_size=600))
    def refused_or_right(content):
        target.feed(content, tmp_path)

    refused_or_right()


# -- the campaign itself catches faults -------------------------------------------------------


def test_a_reader_that_ignores_a_checksum_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile.ZipExtFile, "_update_crc", lambda *_: None)
    target = TARGETS["weights"]
    flipped = bytearray(target.valid)
    flipped[target.valid.index(target.parts[1]) + len(target.parts[1]) - 1] ^= (
        1  # of the last number
    )
    with pytest.raises(WronglyAccepted):
        target.feed(bytes(flipped), tmp_path)


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
