"""MNIST and Fashion-MNIST from their official IDX files, plain or gzipped.

LeCun, Cortes and Burges, *The MNIST database of handwritten digits*, 1998; Xiao, Rasul and
Vollgraf, *Fashion-MNIST*, 2017. An IDX file is 0, 0, a type code (8: unsigned byte), the
number of dimensions, each dimension as a big-endian 32-bit number, then the values.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from minidl.data.dataset import CorruptDataset, Dataset, DatasetError
from minidl.data.download import Published, fetch
from minidl.data.examples import Examples
from minidl.data.places import Layout, Places
from minidl.storage.files import fill, open_to_read

CLASSES = 10
SIDE = 28  # pixels, each way
UNSIGNED_BYTE = 8  # the IDX type code


@dataclass(frozen=True)
class Mnist:
    """One of the two data sets: where its files are and how many images they hold.

    ``folders`` are searched, relative to the data folder; the first is that of the paths of
    ``files``. ``installed`` is where a distribution's package puts it; ``label_md5`` are the
    MD5 of the training and the test labels, which tell the two data sets apart.
    """

    name: str
    title: str
    folders: tuple[str, ...]
    installed: tuple[Path, ...]
    files: tuple[Published, ...]  # images and labels for training, then for testing
    train: int
    test: int
    label_md5: tuple[str, str]
    classes: tuple[str, ...]

    def load(self, places: Places) -> Dataset:
        """Read it from where it is; download it first if necessary."""
        names = [file.name.removesuffix(".gz") for file in self.files]
        files = Layout(self.folders, names, ("", ".gz"))
        for folder in (*places.folders, *(() if places.named else self.installed)):
            if (place := files.find(folder)) is not None:
                return self.read(place)
        if places.target is None:
            expected = f"{', '.join(names)} (plain or .gz), there or in {self.folders[0]}/"
            expected += files.hint(places.folders)
            raise places.not_found(self.title, expected, "\n  ".join(map(str, self.files)))
        place = places.target / self.folders[0]
        for file in self.files:
            if not _find(place, file.name):
                fetch(file, places.target, places.progress)
        return self.read(place)

    def read(self, place: Path) -> Dataset:
        """The data set from its four files in ``place``.

        Raises
        ------
        CorruptDataset
            for anything but the expected IDX header, for missing or surplus bytes, for a
            label above 9, and for the files of the other data set.
        DatasetError
            for a file that cannot be read.
        """
        train = self._examples(place, 0, self.train)
        test = self._examples(place, 1, self.test)
        return Dataset(self.name, self.title, train, test, self.classes, str(place))

    def _examples(self, place: Path, split: int, count: int) -> Examples:
        image_path, label_path = (
            _find(place, file.name) or place / file.name
            for file in self.files[2 * split : 2 * split + 2]
        )
        labels = read_idx(label_path, (count,))
        if (top := labels.max()) >= CLASSES:
            raise CorruptDataset(
                f"{label_path}: label {labels.argmax():,}: expected 0 to {CLASSES - 1}, got {top}"
            )
        digest = hashlib.md5(labels.data, usedforsecurity=False).hexdigest()
        for other in (MNIST, FASHION_MNIST):
            if other.name != self.name and digest in other.label_md5:
                raise CorruptDataset(
                    f"{label_path}: expected the labels of {self.title}, got those of "
                    f"{other.title}; load {other.name!r}, or name another folder"
                )
        images = read_idx(image_path, (count, SIDE, SIDE)).reshape(count, 1, SIDE, SIDE)
        return Examples(images, labels.astype(np.int64))


def _find(place: Path, name: str) -> Path | None:
    """The file of that name in ``place``, plain or gzipped."""
    for path in (place / name.removesuffix(".gz"), place / name):
        if os.path.isfile(path):
            return path
    return None


def read_idx(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The unsigned bytes of an IDX file, which must have this ``shape``; gzipped if ``.gz``.

    Raises
    ------
    CorruptDataset
        for another header, missing or surplus bytes, or broken compression.
    DatasetError
        if the file cannot be read.
    """
    header = 4 + 4 * len(shape)
    total = header + math.prod(shape)
    zipped = path.suffix == ".gz"
    try:
        size = path.stat().st_size
        if zipped and size > total + total // 100 + 4096:
            raise CorruptDataset(f"{path}: {size:,} bytes gzipped, for {total:,} unpacked")
        with open_to_read(path) as plain, _unpacked(plain, zipped) as file:
            _check_header(path, file.read(header), shape)
            if not zipped and size != total:
                raise CorruptDataset(
                    f"{path}: expected {total:,} bytes, got {size:,}; delete it and get it again"
                )
            values = np.empty(shape, np.uint8)
            got = header + fill(values.reshape(-1).data, file)
            got += len(file.read(1))
            if got != total:
                more = "more" if got > total else f"{got:,}"
                raise CorruptDataset(
                    f"{path}: expected {total:,} bytes unpacked, got {more}; "
                    "delete it and get it again"
                )
            return values
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptDataset(
            f"{path}: expected a complete gzip file, got {error}; delete it and get it again"
        ) from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error


def _unpacked(file: IO[bytes], zipped: bool) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb")) if zipped else file


def _check_header(path: Path, header: bytes, shape: tuple[int, ...]) -> None:
    if header[:2] == b"\x1f\x8b":
        raise CorruptDataset(f"{path}: is gzipped; rename it to {path.name}.gz")
    if len(header) < 4 or header[:2] != b"\0\0":
        raise CorruptDataset(
            f"{path}: expected an IDX file, whose first two bytes are zero, got {header[:4]!r}"
        )
    if header[2] != UNSIGNED_BYTE:
        raise CorruptDataset(
            f"{path}: expected IDX type 0x08 (unsigned byte), got 0x{header[2]:02x}"
        )
    if header[3] != len(shape):
        raise CorruptDataset(f"{path}: expected {len(shape)} dimensions, got {header[3]}")
    if len(header) < 4 + 4 * len(shape):
        raise CorruptDataset(f"{path}: truncated in its header, after {len(header)} bytes")
    got = struct.unpack(f">{len(shape)}I", header[4:])
    if got != shape:
        raise CorruptDataset(f"{path}: expected {_by(shape)} values, got {_by(got)}")


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{n:,}" for n in shape)


def _four_files(
    folder: str, sizes_and_md5: tuple[tuple[int, str], ...], mirrors: tuple[str, ...]
) -> tuple[Published, ...]:
    names = (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    )
    return tuple(
        Published(f"{folder}/{name}", size, md5, tuple(mirror + name for mirror in mirrors))
        for name, (size, md5) in zip(names, sizes_and_md5, strict=True)
    )


MNIST = Mnist(
    name="mnist",
    title="MNIST",
    folders=("MNIST/raw", "mnist", "."),
    installed=(),
    files=_four_files(
        "MNIST/raw",
        (
            (9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            (28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
            (1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
            (4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    train=60_000,
    test=10_000,
    label_md5=("e86ee40d66677c011a9abda399ec8c4d", "073c3904dfbd3e141ff8aa01cfde6b15"),
    classes=tuple("0123456789"),
)

FASHION_MNIST = Mnist(
    name="fashion-mnist",
    title="Fashion-MNIST",
    folders=("FashionMNIST/raw", "fashion-mnist", "."),
    installed=(Path("/usr/share/datasets/fashion-mnist"),),
    files=_four_files(
        "FashionMNIST/raw",
        (
            (26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            (29_515, "25c81989df183df01b3e8a0aad5dffbe"),
            (4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
            (5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
        ),
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
    ),
    train=60_000,
    test=10_000,
    label_md5=("3236f6424fc25388b2834cb19942cf7e", "8dea97a4e78c1bd1b5a6e8efbb870b6e"),
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)
