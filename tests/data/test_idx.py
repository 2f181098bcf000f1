"""IDX files: valid layouts are read byte for byte, anything else is refused."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl.data import PUBLISHED, CorruptDataset, DatasetError, DatasetNotFound, idx, load
from minidl.data.idx import read_idx

TRAIN_IMAGES = "train-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", "MNIST/raw"),
        ("mnist", "mnist"),
        ("mnist", "."),
        ("fashion-mnist", "FashionMNIST/raw"),
        ("fashion-mnist", "fashion-mnist"),
        ("fashion-mnist", "."),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_reads_what_was_written(name, folder, suffix, make_idx, tmp_path):
    made = make_idx(tmp_path / folder, suffix)
    dataset = load(name, tmp_path)
    made.check(dataset)
    assert dataset.train.inputs.shape[1:] == (1, 28, 28)
    assert dataset.name == name
    assert len(dataset.classes) == 10
    assert Path(dataset.source) == tmp_path / folder


def test_plain_and_gzipped_side_by_side(make_idx, tmp_path):
    made = make_idx(tmp_path)
    path = tmp_path / TRAIN_IMAGES
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    made.check(load("mnist", tmp_path))


def test_each_data_set_has_its_own_folders(make_idx, tmp_path):
    make_idx(tmp_path / "MNIST" / "raw")
    with pytest.raises(DatasetNotFound, match="Fashion-MNIST is not in"):
        load("fashion-mnist", tmp_path)


def test_package_of_a_distribution(make_idx, tmp_path, monkeypatch):
    assert idx.FASHION_MNIST.installed == (Path("/usr/share/datasets/fashion-mnist"),)
    installed = tmp_path / "usr" / "share"
    known = replace(PUBLISHED["fashion-mnist"], installed=(installed,))
    monkeypatch.setitem(PUBLISHED, "fashion-mnist", known)
    made = make_idx(installed, ".gz")
    made.check(load("fashion-mnist", download=False))
    with pytest.raises(DatasetNotFound):  # if the user names a folder, no other is searched
        load("fashion-mnist", tmp_path)


@pytest.mark.parametrize("split", [0, 1])
def test_files_of_the_other_data_set(split, make_idx, tmp_path, monkeypatch):
    made = make_idx(tmp_path)
    labels = (made.train, made.test)[split][1]
    digests = ["", ""]
    digests[split] = hashlib.md5(labels.tobytes()).hexdigest()
    monkeypatch.setattr(
        idx, "FASHION_MNIST", replace(PUBLISHED["fashion-mnist"], label_md5=tuple(digests))
    )
    with pytest.raises(CorruptDataset, match="labels of MNIST, got those of Fashion-MNIST"):
        load("mnist", tmp_path)
    made.check(load("fashion-mnist", tmp_path))


def test_folder_without_the_files(make_idx, tmp_path):
    make_idx(tmp_path)
    (tmp_path / TEST_LABELS).unlink()
    with pytest.raises(DatasetNotFound) as e:
        load("mnist", tmp_path)
    for word in (str(tmp_path), TRAIN_IMAGES, TEST_LABELS, "MNIST/raw", ".gz", "MD5"):
        assert word in str(e.value)


def header(*sizes, magic=b"\0\0", kind=8, dimensions=None):
    dimensions = len(sizes) if dimensions is None else dimensions
    return magic + bytes([kind, dimensions]) + struct.pack(f">{len(sizes)}I", *sizes)


GOOD = bytes(range(10)) * 10
BROKEN = {
    "empty": (b"", "first two bytes are zero, got b''"),
    "magic": (header(100, magic=b"\0\1") + GOOD, "first two bytes are zero"),
    "text": (b"<html>not found</html>", "first two bytes are zero, got b'<htm'"),
    "type": (header(100, kind=13) + GOOD, "type 0x08 .unsigned byte., got 0x0d"),
    "dimensions": (header(100, 1, 1) + GOOD, "expected 1 dimensions, got 3"),
    "many dimensions": (header(100, dimensions=255) + GOOD, "expected 1 dimensions, got 255"),
    "header": (header(100)[:6], "truncated in its header, after 6 bytes"),
    "count": (header(99) + GOOD[1:], "expected 100 values, got 99"),
    "huge count": (header(2**32 - 1) + GOOD, "expected 100 values, got 4,294,967,295"),
    "truncated": (header(100) + GOOD[1:], "expected 108 bytes.*got 107"),
    "surplus": (header(100) + GOOD + b"\0", "expected 108 bytes.*got (109|more)"),
    "label": (header(100) + GOOD[1:] + b"\12", "label 99: expected 0 to 9, got 10"),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("zipped", [False, True])
def test_broken_label_file(case, zipped, make_idx, tmp_path):
    content, message = BROKEN[case]
    make_idx(tmp_path)
    path = tmp_path / TEST_LABELS
    path.unlink()
    if zipped:
        path, content = path.with_name(path.name + ".gz"), gzip.compress(content)
    path.write_bytes(content)
    with pytest.raises(CorruptDataset, match=message) as e:
        load("mnist", tmp_path)
    assert str(path) in str(e.value)


def test_images_of_another_size(make_idx, idx_bytes, tmp_path):
    make_idx(tmp_path)
    (tmp_path / TRAIN_IMAGES).write_bytes(idx_bytes(np.zeros((1200, 32, 32), np.uint8)))
    with pytest.raises(
        CorruptDataset, match="expected 1,200 × 28 × 28 values, got 1,200 × 32 × 32"
    ):
        load("mnist", tmp_path)


def test_fewer_images_than_labels(make_idx, idx_bytes, tmp_path):
    make_idx(tmp_path)
    (tmp_path / TRAIN_IMAGES).write_bytes(idx_bytes(np.zeros((1199, 28, 28), np.uint8)))
    with pytest.raises(CorruptDataset, match="expected 1,200 × 28 × 28 values, got 1,199 × "):
        load("mnist", tmp_path)


def test_gzipped_without_its_suffix(make_idx, tmp_path):
    make_idx(tmp_path)
    path = tmp_path / TRAIN_IMAGES
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(CorruptDataset, match=r"is gzipped; rename it to .*ubyte\.gz"):
        load("mnist", tmp_path)


def test_suffix_without_gzip(tmp_path, idx_bytes):
    path = tmp_path / "labels.gz"
    path.write_bytes(idx_bytes(np.zeros(100, np.uint8)))
    with pytest.raises(CorruptDataset, match=r"expected a complete gzip file.*[Nn]ot a gzip"):
        read_idx(path, (100,))


@pytest.mark.parametrize("kept", [0, 5, 12, 50, -9, -1])
def test_truncated_gzip(kept, tmp_path, idx_bytes):
    content = gzip.compress(idx_bytes(np.arange(100, dtype=np.uint8)))
    path = tmp_path / "labels.gz"
    path.write_bytes(content[:kept])
    with pytest.raises(CorruptDataset, match=r"labels\.gz"):
        read_idx(path, (100,))


def test_checksum_inside_gzip(tmp_path, idx_bytes):
    content = bytearray(gzip.compress(idx_bytes(np.arange(100, dtype=np.uint8))))
    content[-8] ^= 1
    path = tmp_path / "labels.gz"
    path.write_bytes(content)
    with pytest.raises(CorruptDataset, match="CRC"):
        read_idx(path, (100,))


def test_gzip_that_unpacks_to_much_more_is_not_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(header(100) + bytes(2_000_000)))
    asked = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda s, n=-1: asked.append(n) or read(s, n))
    with pytest.raises(CorruptDataset, match="got more"):
        read_idx(path, (100,))
    assert 0 < sum(asked) < 200
    assert min(asked) > 0


def test_gzip_larger_than_its_contents_can_be(tmp_path, idx_bytes):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros(100, np.uint8))) + gzip.compress(b"") * 1000)
    with pytest.raises(CorruptDataset, match="bytes gzipped"):
        read_idx(path, (100,))


def test_unreadable_file(tmp_path):
    with pytest.raises(DatasetError, match="cannot be read"):
        read_idx(tmp_path / "absent", (100,))
    with pytest.raises(DatasetError, match="cannot be read"):
        read_idx(tmp_path, (100,))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80
)
@given(data=st.data(), zipped=st.booleans())
def test_any_damage_is_refused_or_harmless(data, zipped, tmp_path, idx_bytes):
    """Whatever happens to the bytes, the shape is right or CorruptDataset is raised."""
    good = idx_bytes(np.arange(60, dtype=np.uint8).reshape(3, 4, 5))
    content = bytearray(gzip.compress(good, mtime=0) if zipped else good)
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[at] = data.draw(st.integers(0, 255))
    content = (
        content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    )
    content += data.draw(st.binary(max_size=4))
    path = tmp_path / ("x.gz" if zipped else "x")
    path.write_bytes(content)
    try:
        values = read_idx(path, (3, 4, 5))
    except CorruptDataset:
        return
    if zipped:  # its checksum was right
        assert idx_bytes(values) == good
    else:
        assert idx_bytes(values) == bytes(content)


def test_the_files_may_be_moved(make_idx, tmp_path):
    made = make_idx(tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    made.check(load("mnist", os.fspath(tmp_path / "b")))
