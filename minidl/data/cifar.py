"""CIFAR-100 and CIFAR-10 from their official binary files.

Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009;
https://www.cs.toronto.edu/~kriz/cifar.html. A file is a row of records without a
header: one byte per label, then 1024 red, 1024 green and 1024 blue bytes, each row by row.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minidl.data.archive import extract
from minidl.data.dataset import CorruptDataset, Dataset, DatasetError
from minidl.data.download import Published, fetch, verify
from minidl.data.examples import Examples
from minidl.data.places import Layout, Places, cache, writable
from minidl.storage.files import fill, open_to_read

SHAPE = (3, 32, 32)  # channels, height, width
PIXELS = 3 * 32 * 32  # bytes of an image
BLOCK = 1000  # records read at a time


@dataclass(frozen=True)
class Cifar:
    """One of the two data sets: its files and what a record holds.

    ``train`` and ``test`` give the number of records of each file; ``labels`` the name
    and the number of values of each label byte, the last of them being the class.
    """

    name: str
    title: str
    folder: str
    archive: Published
    train: Mapping[str, int]
    test: Mapping[str, int]
    labels: tuple[tuple[str, int], ...]
    classes: tuple[str, ...]

    @property
    def record(self) -> int:
        """Bytes of a record."""
        return len(self.labels) + PIXELS

    def load(self, places: Places) -> Dataset:
        """Read it from where it is; unpack or download it first if necessary."""
        files = Layout((self.folder, "."), (*self.train, *self.test))
        for folder in places.folders:
            if (place := files.find(folder)) is not None:
                return self.read(place)
            if os.path.isfile(archive := folder / self.archive.name):
                place = folder if writable(folder) else cache()
                return self.unpack(archive, place, places.progress)
        if places.target is None:
            expected = f"{self.folder}/ with {', '.join(files.names)}, or {self.archive.name}"
            pickled = self.folder.replace("-binary", "-python").replace("-bin", "-py")
            expected += files.hint(places.folders, pickled)
            raise places.not_found(self.title, expected, str(self.archive))
        archive = fetch(self.archive, places.target, places.progress)
        return self.unpack(archive, places.target, places.progress)

    def unpack(self, archive: Path, folder: Path, say: bool) -> Dataset:
        """Check ``archive``, write the files that are missing into ``folder``, read them."""
        verify(archive, self.archive)
        rows = {**self.train, **self.test}
        members = {f"{self.folder}/{name}": n * self.record for name, n in rows.items()}
        extract(archive, members, folder, say)
        return self.read(folder / self.folder)

    def read(self, place: Path) -> Dataset:
        """The data set from its files in ``place``.

        Raises
        ------
        CorruptDataset
            for a file of another size or a label out of range.
        DatasetError
            for a file that cannot be read.
        """
        train, test = self._examples(place, self.train), self._examples(place, self.test)
        return Dataset(self.name, self.title, train, test, self.classes, str(place))

    def _examples(self, place: Path, files: Mapping[str, int]) -> Examples:
        for name, rows in files.items():
            self._check_size(place / name, rows)
        total = sum(files.values())
        images = np.empty((total, *SHAPE), np.uint8)
        labels = np.empty(total, np.int64)
        start = 0
        for name, rows in files.items():
            part = slice(start, start + rows)
            self._read_file(place / name, images[part].reshape(rows, PIXELS), labels[part])
            start += rows
        return Examples(images, labels)

    def _check_size(self, path: Path, rows: int) -> None:
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read: {error}") from error
        if size != rows * self.record:
            raise CorruptDataset(
                f"{path}: expected {rows * self.record:,} bytes ({rows:,} records of "
                f"{self.record:,}), got {size:,}; delete it and unpack {self.archive.name} again"
            )

    def _read_file(self, path: Path, images: np.ndarray, labels: np.ndarray) -> None:
        """Fill images (rows, 3072) and labels (rows,) block by block."""
        block = np.empty((BLOCK, self.record), np.uint8)
        try:
            with open_to_read(path) as file:
                for start in range(0, len(images), BLOCK):
                    records = block[: len(images) - start]
                    if fill(records.reshape(-1).data, file) != records.nbytes:
                        raise CorruptDataset(f"{path}: truncated at record {start:,}")
                    self._check_labels(path, start, records)
                    part = slice(start, start + len(records))
                    labels[part] = records[:, len(self.labels) - 1]
                    images[part] = records[:, len(self.labels) :]
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read: {error}") from error

    def _check_labels(self, path: Path, start: int, records: np.ndarray) -> None:
        for column, (kind, count) in enumerate(self.labels):
            wrong = np.flatnonzero(records[:, column] >= count)
            if wrong.size:
                raise CorruptDataset(
                    f"{path}: record {start + wrong[0]:,}: expected a {kind} label from 0 to "
                    f"{count - 1}, got {records[wrong[0], column]}; is this the binary version?"
                )


def _toronto(name: str, size: int, md5: str) -> Published:
    return Published(name, size, md5, (f"https://www.cs.toronto.edu/~kriz/{name}",))


_CIFAR_100_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach
couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster
house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road
rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel
streetcar sunflower sweet_pepper table tank telephone television tiger tractor train
trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

CIFAR_100 = Cifar(
    name="cifar-100",
    title="CIFAR-100",
    folder="cifar-100-binary",
    archive=_toronto("cifar-100-binary.tar.gz", 168_513_733, "03b5dce01913d631647c71ecec9e9cb8"),
    train={"train.bin": 50_000},
    test={"test.bin": 10_000},
    labels=(("coarse", 20), ("fine", 100)),
    classes=tuple(_CIFAR_100_CLASSES.split()),
)

_CIFAR_10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"

CIFAR_10 = Cifar(
    name="cifar-10",
    title="CIFAR-10",
    folder="cifar-10-batches-bin",
    archive=_toronto("cifar-10-binary.tar.gz", 170_052_171, "c32a1d4ab5d03f1284b67883e8d87530"),
    train={f"data_batch_{n}.bin": 10_000 for n in range(1, 6)},
    test={"test_batch.bin": 10_000},
    labels=(("class", 10),),
    classes=tuple(_CIFAR_10_CLASSES.split()),
)
