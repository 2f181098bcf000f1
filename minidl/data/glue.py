"""CoLA and SST-2, two tasks of GLUE: English sentences with a binary label.

CoLA (Warstadt, Singh and Bowman, *Neural Network Acceptability Judgments*, TACL 2019): is the
sentence acceptable English?  SST-2 (Socher et al., EMNLP 2013): is a phrase from a film review
positive or negative?  Both are the authors' tab-separated files in UTF-8; nothing is downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minidl._printable import printable
from minidl.backend import checks
from minidl.data.dataset import CorruptDataset, DatasetError, DatasetNotFound
from minidl.data.places import Layout, places
from minidl.data.sentences import Sentences
from minidl.data.wordpiece import WordPiece
from minidl.storage.files import read_bytes

LARGEST = 16 << 20  # bytes of a file at most; SST-2 has 3.8 million
HEAD = "sentence\tlabel"  # the first line of a file of SST-2


@dataclass(frozen=True, eq=False)
class Texts:
    """Sentences as text, with their labels."""

    sentences: tuple[str, ...]
    labels: np.ndarray  # (N,) int64

    def __len__(self) -> int:
        return len(self.sentences)

    def take(self, rows: Sequence[int] | np.ndarray) -> Texts:
        """Those with these row numbers, in this order."""
        found = checks.indices("Texts.take", "rows", np.asarray(rows), len(self))
        return Texts(tuple(self.sentences[i] for i in found), self.labels[found])

    def tokens(self, tokenizer: WordPiece, longest: int = 512) -> Sentences:
        """The sentences as rows of tokens for training, truncated to ``longest``."""
        checks.instance("Texts.tokens", "tokenizer", tokenizer, WordPiece)
        rows = [tokenizer.encode(sentence, longest) for sentence in self.sentences]
        return Sentences.of(rows, self.labels, tokenizer.padding)


@dataclass(frozen=True, eq=False)
class TextDataset:
    """A data set of sentences, with its authors' split."""

    name: str
    title: str
    train: Texts
    dev: Texts
    classes: tuple[str, ...]  # classes[label]
    source: str  # the folder that it was read from


@dataclass(frozen=True)
class _File:
    """One file: how many sentences it has, and how many of them have label 1."""

    name: str
    count: int
    ones: int


@dataclass(frozen=True)
class _Task:
    name: str
    title: str
    folders: tuple[str, ...]
    train: _File
    dev: _File
    columns: int
    sentence: int  # its column
    label: int
    has_head: bool
    classes: tuple[str, ...]
    url: str

    def read(self, folder: Path) -> TextDataset:
        train, dev = (self._texts(folder / file.name, file) for file in (self.train, self.dev))
        return TextDataset(self.name, self.title, train, dev, self.classes, str(folder))

    def _texts(self, path: Path, file: _File) -> Texts:
        lines = _lines(path)
        if self.has_head:
            if lines[:1] != [HEAD]:
                raise CorruptDataset(
                    f"{path}: line 1: expected {HEAD!r}, got {_shown(''.join(lines[:1]))}"
                )
            lines = lines[1:]
        if len(lines) != file.count:
            raise CorruptDataset(
                f"{path}: expected {file.count:,} sentences, got {len(lines):,}; "
                f"get it again from {self.url}"
            )
        sentences, labels = [], np.empty(len(lines), np.int64)
        for place, line in enumerate(lines):
            parts = line.split("\t")
            number = place + 1 + self.has_head
            if len(parts) != self.columns:
                raise CorruptDataset(
                    f"{path}: line {number:,}: expected {self.columns} columns, got {len(parts)}"
                )
            label, sentence = parts[self.label], parts[self.sentence].strip()
            if label not in ("0", "1") or not sentence:
                raise CorruptDataset(
                    f"{path}: line {number:,}: expected a sentence and a label 0 or 1, got "
                    f"{_shown(line)}"
                )
            sentences.append(sentence)
            labels[place] = int(label)
        if labels.sum() != file.ones:
            raise CorruptDataset(
                f"{path}: expected {file.ones:,} sentences of label 1, got {labels.sum():,}; "
                f"get it again from {self.url}"
            )
        return Texts(tuple(sentences), labels)


COLA = _Task(
    name="cola",
    title="CoLA",
    folders=("glue/CoLA", "CoLA", "cola_public/raw", "."),
    train=_File("in_domain_train.tsv", 8551, 6023),
    dev=_File("in_domain_dev.tsv", 527, 365),
    columns=4,
    sentence=3,
    label=1,
    has_head=False,
    classes=("unacceptable", "acceptable"),
    url="https://nyu-mll.github.io/CoLA",
)
SST_2 = _Task(
    name="sst-2",
    title="SST-2",
    folders=("glue/SST-2", "SST-2", "."),
    train=_File("train.tsv", 67_349, 37_569),
    dev=_File("dev.tsv", 872, 444),
    columns=2,
    sentence=0,
    label=1,
    has_head=True,
    classes=("negative", "positive"),
    url="https://gluebenchmark.com/tasks",
)
TASKS = {task.name: task for task in (COLA, SST_2)}


def load_texts(name: str, data_dir: str | os.PathLike[str] | None = None) -> TextDataset:
    """The data set ``"cola"`` or ``"sst-2"``, in memory.

    CoLA is ``in_domain_train.tsv`` and ``in_domain_dev.tsv``, SST-2 is ``train.tsv`` and
    ``dev.tsv``; whitespace at the ends of a sentence is stripped.

    Parameters
    ----------
    name : of the data set
    data_dir : the only folder to search; without it, ``$MINIDL_DATA`` and the user's cache

    Raises
    ------
    DatasetNotFound
        if it is missing.
    CorruptDataset
        if a file is not UTF-8, or has other columns, labels or counts.
    DatasetError
        if the name is unknown, or a file cannot be read.
    """
    if not isinstance(name, str) or name not in TASKS:
        raise DatasetError(f"unknown data set {name!r}; expected one of {', '.join(TASKS)}")
    task, where = TASKS[name], places(data_dir, download=False, progress=False)
    files = Layout(task.folders, (task.train.name, task.dev.name))
    for folder in where.folders:
        if (place := files.find(folder)) is not None:
            return task.read(place)
    searched = " or ".join(map(str, where.folders))
    raise DatasetNotFound(
        f"{task.title} is not in {searched}: expected {' and '.join(files.names)}, there or in "
        f"{task.folders[0]}/{files.hint(where.folders)}; get it from {task.url} and put "
        "it there, or name the folder that holds it (--data-dir, or MINIDL_DATA)",
        f"{task.title} is not in {searched}",
    )


def _lines(path: Path) -> list[str]:
    try:
        text = read_bytes(path, LARGEST).decode("utf-8")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise CorruptDataset(f"{path}: expected text in UTF-8 ({error})") from error
    except ValueError as error:
        raise CorruptDataset(str(error)) from error
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def _shown(text: str) -> str:
    return printable(repr(text), limit=200)
