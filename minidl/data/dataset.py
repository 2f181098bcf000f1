"""What every loader returns, and what it raises."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from minidl.data.examples import Examples


class DatasetError(RuntimeError):
    """Base of everything that :func:`minidl.data.load` raises about data."""


class DatasetNotFound(DatasetError):
    """The files are missing and could not, or should not, be downloaded.

    ``reason`` says why, in a clause that can follow "because".
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class CorruptDataset(DatasetError):
    """A file exists but is not what it should be."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory, with its authors' split.

    Attributes
    ----------
    name : as given to ``load``, ``"cifar-100"``
    title : for tables and figures, ``"CIFAR-100"``
    train, test : images ``uint8`` (N, channels, height, width), labels ``int64`` (N,)
    classes : the names of the classes; ``classes[label]``
    source : the folder from which the files were read, or ``"generated, seed 0"``
    note : why this is not the first choice of ``"auto"``; otherwise empty
    """

    name: str
    title: str
    train: Examples
    test: Examples
    classes: tuple[str, ...]
    source: str
    note: str = ""

    def digest(self) -> str:
        """The SHA-256 of all examples: if it is the same, so are the data."""
        parts = f"{self.train.digest()} {self.test.digest()}"
        return hashlib.sha256(parts.encode()).hexdigest()

    @property
    def is_stand_in(self) -> bool:
        """Whether the images are generated, so that figures on them say nothing about CIFAR-100."""
        return self.name == "stand-in"
