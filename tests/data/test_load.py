"""load(): names, the fallback of "auto", and the official files if they are available."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minidl.data import (
    NAMES,
    PUBLISHED,
    CorruptDataset,
    DatasetError,
    DatasetNotFound,
    cifar,
    idx,
    load,
    standin,
)

REAL = os.environ.get("MINIDL_DATA", "")


@pytest.fixture(scope="module")
def few():
    return standin.generate(0, 10, 5)


@pytest.fixture(autouse=True)
def few_generated(monkeypatch, few):
    monkeypatch.setattr(
        standin, "generate", lambda seed: replace(few, source=f"generated, seed {seed}")
    )


def test_an_unknown_name_gets_the_list(tmp_path):
    assert NAMES == ("auto", "cifar-100", "cifar-10", "mnist", "fashion-mnist", "stand-in")
    for name in ("cifar", "CIFAR-100", "", "../cifar-100", None):
        with pytest.raises(DatasetError, match=f"unknown data set.*{', '.join(NAMES)}"):
            load(name, tmp_path)


def test_auto_is_cifar_100_if_it_is_available(make_cifar, tmp_path, monkeypatch):
    made = make_cifar("cifar-100", tmp_path / "data")
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "data"))
    for dataset in (load("auto"), load("auto", tmp_path / "data"), load("auto", download=False)):
        made.check(dataset)
        assert dataset.name == "cifar-100"
        assert dataset.note == ""


def test_environment_variable_before_the_cache(make_cifar, tmp_path, monkeypatch):
    cached = tmp_path / "cache" / "cifar-100-binary"
    make_cifar("cifar-100", cached)
    assert load("cifar-100").source == str(cached)
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "data"))
    assert load("cifar-100").source == str(cached)
    make_cifar("cifar-100", tmp_path / "data")
    assert load("cifar-100").source == str(tmp_path / "data")
    monkeypatch.setenv("MINIDL_DATA", "")
    assert load("cifar-100").source == str(cached)


def test_an_environment_variable_that_would_control_the_terminal_is_refused(monkeypatch):
    monkeypatch.setenv("MINIDL_DATA", "/tmp/\x1b]0;x\x07")
    with pytest.raises(DatasetError, match="MINIDL_DATA: expected a name of printable") as e:
        load("auto")
    assert str(e.value).isprintable()


def test_auto_without_a_network_or_a_download_is_the_stand_in_and_says_why(tmp_path):
    dataset = load("auto", progress=False, seed=3)
    assert dataset.is_stand_in
    assert dataset.source == "generated, seed 3"
    reason = "cifar-100-binary.tar.gz could not be downloaded (127.0.0.1: no connection"
    assert reason in dataset.note
    assert "\n" not in dataset.note
    assert dataset.note.endswith(".")
    assert "not CIFAR-100" in dataset.title
    dataset = load("auto", download=False)
    assert dataset.is_stand_in
    assert f"CIFAR-100 is not in {tmp_path / 'cache'}" in dataset.note
    assert "downloading is switched off" in dataset.note


def test_a_named_data_set_never_falls_back(tmp_path):
    for name in PUBLISHED:
        with pytest.raises(DatasetNotFound, match="could not be downloaded"):
            load(name, progress=False)
        with pytest.raises(DatasetNotFound, match="switched off") as e:
            load(name, download=False)
        assert str(tmp_path / "cache") in str(e.value)
        assert "http://127.0.0.1" in str(e.value)


def test_a_named_folder_is_the_only_one_and_is_not_filled(leftovers, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    for name in ("auto", *PUBLISHED):
        with pytest.raises(DatasetNotFound, match=f"is not in {folder}: .*Leave out the folder"):
            load(name, folder)
    assert leftovers(tmp_path) == []


def test_auto_does_not_skip_a_corrupt_file(make_cifar, tmp_path, monkeypatch):
    make_cifar("cifar-100", tmp_path)
    (tmp_path / "test.bin").write_bytes(b"short")
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    with pytest.raises(CorruptDataset, match=r"test\.bin"):
        load("auto")


def test_stand_in_by_name():
    dataset = load("stand-in", seed=5)
    assert dataset.is_stand_in
    assert dataset.note == ""
    assert dataset.source == "generated, seed 5"


def test_import_brings_no_network_library():
    code = (
        "import sys, minidl.data; "
        "print([m for m in ('filelock', 'requests', 'tqdm') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# -- the official files -----------------------------------------------------------------------


def real(known, folders):
    """The folder with the official files; without it, skip and say what is missing."""
    if not REAL or not any((Path(REAL) / folder).is_dir() for folder in folders):
        pytest.skip(f"no folder with the official files of {known.title} in MINIDL_DATA")
    return Path(REAL)


@pytest.mark.slow
@pytest.mark.parametrize("known", [cifar.CIFAR_100, cifar.CIFAR_10], ids=lambda k: k.name)
def test_official_cifar(known, monkeypatch):
    folder = real(known, [known.folder])
    monkeypatch.setitem(PUBLISHED, known.name, known)
    monkeypatch.setattr(cifar, "BLOCK", 1000)
    start = time.perf_counter()
    dataset = load(known.name, folder)
    assert time.perf_counter() - start < 10
    classes = len(known.classes)
    for split, count, mean in ((dataset.train, 50_000, 0.48), (dataset.test, 10_000, 0.48)):
        assert split.inputs.shape == (count, 3, 32, 32)
        assert (np.bincount(split.targets, minlength=classes) == count // classes).all()
        assert abs(split.inputs[::10].mean() / 255 - mean) < 0.01
    # Published channel means of the training images: red, green, blue, in descending order.
    red, green, blue = dataset.train.inputs.mean(axis=(0, 2, 3)) / 255
    expected = (0.5071, 0.4866, 0.4409) if classes == 100 else (0.4914, 0.4822, 0.4465)
    np.testing.assert_allclose((red, green, blue), expected, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("known", [idx.MNIST, idx.FASHION_MNIST], ids=lambda k: k.name)
def test_official_mnist(known, monkeypatch):
    folder = real(known, known.folders[:2])
    monkeypatch.setitem(PUBLISHED, known.name, known)
    dataset = load(known.name, folder)
    assert dataset.train.inputs.shape == (60_000, 1, 28, 28)
    assert dataset.test.inputs.shape == (10_000, 1, 28, 28)
    first = [5, 0, 4, 1, 9] if known.name == "mnist" else [9, 0, 0, 3, 0]
    assert dataset.train.targets[:5].tolist() == first
    mean = 0.1307 if known.name == "mnist" else 0.2860
    assert abs(dataset.train.inputs.mean() / 255 - mean) < 1e-4


@pytest.mark.slow
def test_official_files_of_another_data_set(monkeypatch):
    folder = real(idx.FASHION_MNIST, idx.FASHION_MNIST.folders[:1]) / "FashionMNIST" / "raw"
    monkeypatch.setitem(PUBLISHED, "mnist", idx.MNIST)
    with pytest.raises(CorruptDataset, match="labels of MNIST, got those of Fashion-MNIST"):
        load("mnist", folder)


def test_published_sizes_and_sources():
    """As their sources publish them; a mistake here would refuse every good download."""
    sets = (cifar.CIFAR_10, cifar.CIFAR_100, idx.MNIST, idx.FASHION_MNIST)
    all_files = [file for known in sets for file in getattr(known, "files", ()) or [known.archive]]
    assert len({file.md5 for file in all_files}) == len({file.path for file in all_files}) == 10
    assert {len(file.md5) for file in all_files} == {32}
    assert cifar.CIFAR_100.archive.size == 168_513_733
    assert cifar.CIFAR_10.archive.size == 170_052_171
    assert sum(file.size for file in idx.MNIST.files) == 11_594_722
    assert sum(file.size for file in idx.FASHION_MNIST.files) == 30_878_645
    for file in all_files:
        assert all(url.endswith("/" + file.name) for url in file.urls)
        assert file.urls[0].startswith("https://")
