"""Examples in memory, augmentation, and data sets from their official files; a stand-in.

No pickle is read anywhere.  See ``docs/data.md`` for the folders and layouts.
"""

from __future__ import annotations

import os
from dataclasses import replace

from minidl.data import standin
from minidl.data.augmentation import Augmentation
from minidl.data.cifar import CIFAR_10, CIFAR_100, Cifar
from minidl.data.dataset import CorruptDataset, Dataset, DatasetError, DatasetNotFound
from minidl.data.examples import Examples
from minidl.data.glue import TextDataset, Texts, load_texts
from minidl.data.idx import FASHION_MNIST, MNIST, Mnist
from minidl.data.places import places
from minidl.data.sentences import Sentences
from minidl.data.wordpiece import WordPiece

__all__ = [
    "NAMES",
    "Augmentation",
    "CorruptDataset",
    "Dataset",
    "DatasetError",
    "DatasetNotFound",
    "Examples",
    "Sentences",
    "TextDataset",
    "Texts",
    "WordPiece",
    "load",
    "load_texts",
]

# Every published data set: its files, sizes, checksums and classes.
PUBLISHED: dict[str, Cifar | Mnist] = {
    known.name: known for known in (CIFAR_100, CIFAR_10, MNIST, FASHION_MNIST)
}
NAMES = ("auto", *PUBLISHED, "stand-in")


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    seed: int = 0,
    progress: bool = True,
) -> Dataset:
    """The data set of that name, in memory.

    Parameters
    ----------
    name : one of ``NAMES``; ``"auto"`` is CIFAR-100 if it is available or can be
        downloaded, and otherwise the stand-in, whose ``note`` then says why
    data_dir : the only folder to search; nothing is then downloaded. Without it,
        ``$MINIDL_DATA`` and the user's cache are searched
    download : whether to download what is in neither, into the first of them
    seed : of the stand-in's images, at least 0
    progress : whether a download shows its progress, on standard error

    Raises
    ------
    DatasetNotFound
        if it is missing and was not, or could not be, downloaded.
    CorruptDataset
        if a file is not what it should be; ``"auto"`` does not ignore this either.
    DatasetError
        if the name is unknown, or a file cannot be read or written.
    ValueError
        for a seed below 0.
    """
    if name == "stand-in":
        return standin.generate(seed)
    if name == "auto":
        try:
            return load("cifar-100", data_dir, download=download, progress=progress)
        except DatasetNotFound as error:
            if data_dir is not None:
                raise
            note = f"Generated images are used, because {error.reason}."
            return replace(standin.generate(seed), note=note)
    if not isinstance(name, str) or name not in PUBLISHED:
        raise DatasetError(f"unknown data set {name!r}; expected one of {', '.join(NAMES)}")
    return PUBLISHED[name].load(places(data_dir, download, progress))
