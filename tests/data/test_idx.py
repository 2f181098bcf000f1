"""IDX files: valid layouts are read byte for byte, anything else is refused."""

from __future__ import annotations

import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minidl.data import PUBLISHED, CorruptDataset, DatasetError, DatasetNotFound, idx, load
from minidl.data.idx import read_idx

TRAIN_IMAGES = "train-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
FOLDERS = {
    "mnist": ("MNIST/raw", "mnist", "."),
    "fashion-mnist": ("FashionMNIST/raw", "fashion-mnist", "."),
}


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", FOLDERS)
def test_reads_what_was_written_wherever_it_may_be(name, suffix, make_idx, tmp_path):
    for number, folder in enumerate(FOLDERS[name]):
        made = make_idx(tmp_path / str(number) / folder, suffix)
        dataset = load(name, str(tmp_path / str(number)))
        made.check(dataset)
        assert dataset.train.inputs.shape[1:] == (1, 28, 28)
        assert dataset.name == name
        assert len(dataset.classes) == 10
        assert Path(dataset.source) == tmp_path / str(number) / folder


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


def test_a_folder_without_the_files(make_idx, tmp_path):
    make_idx(tmp_path)
    (tmp_path / TEST_LABELS).unlink()
    with pytest.raises(DatasetNotFound) as e:
        load("mnist", tmp_path)
    for word in (str(tmp_path), TRAIN_IMAGES, TEST_LABELS, "MNIST/raw", ".gz", "MD5"):
        assert word in str(e.value)


def header(*sizes, magic=b"\0\0", kind=8, dimensions=None):
    dimensions = len(sizes) if dimensions is None else dimensions
    return magic + bytes([kind, dimensions]) + struct.pack(f">{len(sizes)}I", *sizes)


GOOD = bytes(range(10))
BROKEN = {
    "empty": (b"", "first two bytes are zero, got b''"),
    "magic": (header(10, magic=b"\0\1") + GOOD, "first two bytes are zero"),
    "text": (b"<html>not found</html>", "first two bytes are zero, got b'<htm'"),
    "type": (header(10, kind=13) + GOOD, "type 0x08 .unsigned byte., got 0x0d"),
    "dimensions": (header(10, 1, 1) + GOOD, "expected 1 dimensions, got 3"),
    "many dimensions": (header(10, dimensions=255) + GOOD, "expected 1 dimensions, got 255"),
    "header": (header(10)[:6], "truncated in its header, after 6 bytes"),
    "count": (header(9) + GOOD[1:], "expected 10 values, got 9"),
    "huge count": (header(2**32 - 1) + GOOD, "expected 10 values, got 4,294,967,295"),
    "truncated": (header(10) + GOOD[1:], "expected 18 bytes.*got 17"),
    "surplus": (header(10) + GOOD + b"\0", "expected 18 bytes.*got (19|more)"),
    "label": (header(10) + GOOD[1:] + b"\12", "label 9: expected 0 to 9, got 10"),
}


@pytest.mark.parametrize("zipped", [False, True])
def test_broken_label_files(zipped, make_idx, tmp_path):
    make_idx(tmp_path)
    path = tmp_path / TEST_LABELS
    path.unlink()
    path = path.with_name(path.name + ".gz") if zipped else path
    for content, message in BROKEN.values():
        path.write_bytes(gzip.compress(content) if zipped else content)
        with pytest.raises(CorruptDataset, match=f"{path}: .*{message}"):
            load("mnist", tmp_path)


@pytest.mark.parametrize("shape", [(60, 32, 32), (59, 28, 28)])
def test_images_of_another_size_or_number(shape, make_idx, idx_bytes, tmp_path):
    make_idx(tmp_path)
    (tmp_path / TRAIN_IMAGES).write_bytes(idx_bytes(np.zeros(shape, np.uint8)))
    got = " × ".join(map(str, shape))
    with pytest.raises(CorruptDataset, match=f"expected 60 × 28 × 28 values, got {got}"):
        load("mnist", tmp_path)


def test_gzipped_without_its_suffix_and_the_suffix_without_gzip(make_idx, idx_bytes, tmp_path):
    make_idx(tmp_path)
    path = tmp_path / TRAIN_IMAGES
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(CorruptDataset, match=r"is gzipped; rename it to .*ubyte\.gz"):
        load("mnist", tmp_path)
    path = tmp_path / "labels.gz"
    path.write_bytes(idx_bytes(np.zeros(100, np.uint8)))
    with pytest.raises(CorruptDataset, match=r"expected a complete gzip file.*[Nn]ot a gzip"):
        read_idx(path, (100,))


def test_truncated_gzip_and_its_checksum(tmp_path, idx_bytes):
    content = gzip.compress(idx_bytes(np.arange(100, dtype=np.uint8)))
    path = tmp_path / "labels.gz"
    for kept in (0, 5, 12, 50, -9, -1):
        path.write_bytes(content[:kept])
        with pytest.raises(CorruptDataset, match=r"labels\.gz"):
            read_idx(path, (100,))
    path.write_bytes(content[:-8] + bytes([content[-8] ^ 1]) + content[-7:])
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
