"""CIFAR files: valid layouts are read byte for byte, anything else is refused."""

from __future__ import annotations

import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minidl.data import PUBLISHED, CorruptDataset, DatasetError, DatasetNotFound, load

FOLDERS = {"cifar-100": "cifar-100-binary", "cifar-10": "cifar-10-batches-bin"}


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("direct", [False, True])
def test_reads_what_was_written(name, direct, make_cifar, tmp_path):
    place = tmp_path if direct else tmp_path / FOLDERS[name]
    made = make_cifar(name, place)
    dataset = load(name, tmp_path)
    made.check(dataset)
    assert dataset.name == name
    assert dataset.title == name.upper()
    assert dataset.source == str(place)
    assert dataset.note == ""
    assert not dataset.is_stand_in


def test_the_class_is_the_fine_label_and_channels_come_one_after_the_other(make_cifar, tmp_path):
    make_cifar("cifar-100", tmp_path)
    record = bytearray((tmp_path / "test.bin").read_bytes())
    record[:2] = 3, 99
    record[2:3074] = bytes([10]) * 1024 + bytes([20]) * 1024 + bytes(range(32)) * 32
    (tmp_path / "test.bin").write_bytes(record)
    test = load("cifar-100", tmp_path).test
    assert test.targets[0] == 99
    assert (test.inputs[0, 0] == 10).all()
    assert (test.inputs[0, 1] == 20).all()
    assert (test.inputs[0, 2] == np.arange(32)).all()


def test_class_names():
    classes = PUBLISHED["cifar-100"].classes
    assert len(set(classes)) == 100
    assert list(classes) == sorted(classes)
    assert (classes[0], classes[8], classes[99]) == ("apple", "bicycle", "worm")
    assert PUBLISHED["cifar-10"].classes[:3] == ("airplane", "automobile", "bird")
    assert len(PUBLISHED["cifar-10"].classes) == 10


def test_takes_a_string_and_a_home_folder(make_cifar, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    made = make_cifar("cifar-100", tmp_path / "data")
    made.check(load("cifar-100", "~/data"))


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("change", [-1, 1, -3073, -3074])
def test_wrong_size(name, change, make_cifar, tmp_path):
    make_cifar(name, tmp_path)
    path = tmp_path / [*PUBLISHED[name].train][-1]
    size = path.stat().st_size
    content = path.read_bytes()
    path.write_bytes(content + b"\0" if change > 0 else content[:change])
    with pytest.raises(
        CorruptDataset, match=rf"expected {size:,} bytes.*got {size + change:,}"
    ) as e:
        load(name, tmp_path)
    assert str(path) in str(e.value)
    assert "delete it" in str(e.value)


def test_empty_file(make_cifar, tmp_path):
    make_cifar("cifar-100", tmp_path)
    (tmp_path / "test.bin").write_bytes(b"")
    with pytest.raises(CorruptDataset, match="got 0"):
        load("cifar-100", tmp_path)


def test_file_that_shrinks_while_it_is_read(make_cifar, tmp_path):
    make_cifar("cifar-100", tmp_path)
    known = PUBLISHED["cifar-100"]
    images, labels = np.empty((1300, 3072), np.uint8), np.empty(1300, np.int64)
    with pytest.raises(CorruptDataset, match="truncated at record 1,000"):
        known._read_file(tmp_path / "train.bin", images, labels)


@pytest.mark.parametrize(
    ("name", "column", "value", "message"),
    [
        ("cifar-100", 0, 20, "a coarse label from 0 to 19, got 20"),
        ("cifar-100", 1, 100, "a fine label from 0 to 99, got 100"),
        ("cifar-100", 1, 255, "a fine label from 0 to 99, got 255"),
        ("cifar-10", 0, 10, "a class label from 0 to 9, got 10"),
    ],
)
@pytest.mark.parametrize("record", [0, 99])
def test_label_out_of_range(name, column, value, message, record, make_cifar, tmp_path):
    make_cifar(name, tmp_path)
    known = PUBLISHED[name]
    (path,) = (tmp_path / file for file in known.test)
    content = bytearray(path.read_bytes())
    content[record * known.record + column] = value
    path.write_bytes(content)
    with pytest.raises(CorruptDataset, match=message) as e:
        load(name, tmp_path)
    assert f"{path}: record {record}" in str(e.value)


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("missing", ["all", "one", "folder"])
def test_folder_without_the_files(name, missing, make_cifar, tmp_path):
    folder = tmp_path / "here"
    if missing != "folder":
        make_cifar(name, folder)
        for file in [*PUBLISHED[name].train, *PUBLISHED[name].test][
            0 if missing == "all" else -1 :
        ]:
            (folder / file).unlink()
    with pytest.raises(DatasetNotFound) as e:
        load(name, folder)
    message = str(e.value)
    assert f"{name.upper()} is not in {folder}" in message
    for word in (FOLDERS[name], *PUBLISHED[name].test, ".tar.gz", "MD5", "Leave out the folder"):
        assert word in message
    assert ("no such folder" in message) == (missing == "folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_in_place_of_a_file_is_refused_without_waiting(make_cifar, tmp_path):
    make_cifar("cifar-100", tmp_path)
    (tmp_path / "train.bin").unlink()
    os.mkfifo(tmp_path / "train.bin")
    with pytest.raises(DatasetNotFound):
        load("cifar-100", tmp_path)


def test_unreadable_file(make_cifar, tmp_path, monkeypatch):
    make_cifar("cifar-100", tmp_path)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DatasetError, match=r"train\.bin: cannot be read: .*Permission denied"):
        load("cifar-100", tmp_path)


def test_no_data_are_held_twice(make_cifar, tmp_path, monkeypatch):
    known = PUBLISHED["cifar-10"]
    monkeypatch.setitem(
        PUBLISHED, "cifar-10", replace(known, train=dict.fromkeys(known.train, 3000))
    )
    make_cifar("cifar-10", tmp_path)
    tracemalloc.start()
    dataset = load("cifar-10", tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * dataset.train.inputs.nbytes


def test_no_pickle():
    sources = Path(load.__code__.co_filename).parent.glob("*.py")
    assert not [s for s in sources if "import pickle" in s.read_text(encoding="utf-8")]
