"""CIFAR files: valid layouts are read byte for byte, anything else is refused."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from minidl.data import PUBLISHED, CorruptDataset, DatasetError, DatasetNotFound, load

FOLDERS = {"cifar-100": "cifar-100-binary", "cifar-10": "cifar-10-batches-bin"}
each_name = pytest.mark.parametrize("name", FOLDERS)


@each_name
def test_reads_what_was_written(name, make_cifar, tmp_path):
    for place in (tmp_path / "a" / FOLDERS[name], tmp_path / "b"):
        made = make_cifar(name, place)
        dataset = load(name, tmp_path / place.relative_to(tmp_path).parts[0])
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


@each_name
def test_a_file_of_another_size_is_refused(name, make_cifar, tmp_path):
    make_cifar(name, tmp_path)
    path = tmp_path / [*PUBLISHED[name].train][-1]
    content = path.read_bytes()
    record = PUBLISHED[name].record
    for other in (b"", content[:-1], content + b"\0", content[:-record], content + bytes(record)):
        path.write_bytes(other)
        expected = rf"{path}: expected {len(content):,} bytes.*got {len(other):,}; delete it"
        with pytest.raises(CorruptDataset, match=expected):
            load(name, tmp_path)


def test_a_file_that_shrinks_while_it_is_read(make_cifar, tmp_path):
    make_cifar("cifar-100", tmp_path)
    known = PUBLISHED["cifar-100"]
    images, labels = np.empty((80, 3072), np.uint8), np.empty(80, np.int64)
    with pytest.raises(CorruptDataset, match="truncated at record 50"):
        known._read_file(tmp_path / "train.bin", images, labels)


def test_a_label_out_of_range_is_refused_with_its_record(make_cifar, tmp_path):
    for name, column, value, message in (
        ("cifar-100", 0, 20, "a coarse label from 0 to 19, got 20"),
        ("cifar-100", 1, 100, "a fine label from 0 to 99, got 100"),
        ("cifar-10", 0, 10, "a class label from 0 to 9, got 10"),
    ):
        make_cifar(name, tmp_path / name)
        known = PUBLISHED[name]
        path = tmp_path / name / max(known.train)
        good = path.read_bytes()
        for record in (0, len(good) // known.record - 1):
            content = bytearray(good)
            content[record * known.record + column] = value
            path.write_bytes(content)
            with pytest.raises(CorruptDataset, match=f"{path}: record {record}: .* {message}"):
                load(name, tmp_path / name)


@each_name
def test_a_folder_without_the_files(name, make_cifar, tmp_path):
    known, folder = PUBLISHED[name], tmp_path / "here"
    for missing in ("folder", "one", "all"):
        if missing == "one":
            make_cifar(name, folder)
        for file in {"one": [*known.test], "all": [*known.train]}.get(missing, []):
            (folder / file).unlink()
        with pytest.raises(DatasetNotFound) as e:
            load(name, folder)
        message = str(e.value)
        assert f"{name.upper()} is not in {folder}" in message
        for word in (FOLDERS[name], *known.test, ".tar.gz", "MD5", "Leave out the folder"):
            assert word in message
        assert ("no such folder" in message) == (missing == "folder")


def test_an_unreadable_file(make_cifar, tmp_path, monkeypatch):
    make_cifar("cifar-100", tmp_path)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DatasetError, match=r"train\.bin: cannot be read: .*Permission denied"):
        load("cifar-100", tmp_path)


def test_no_data_are_held_twice(make_cifar, tmp_path, monkeypatch):
    known = PUBLISHED["cifar-10"]
    more = replace(known, train=dict.fromkeys(known.train, 300))
    monkeypatch.setitem(PUBLISHED, "cifar-10", more)
    make_cifar("cifar-10", tmp_path)
    tracemalloc.start()
    dataset = load("cifar-10", tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * dataset.train.inputs.nbytes
