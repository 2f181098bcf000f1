"""Every file that minidl reads: one that is none, or only a part of one, is refused at once.

Damage of every kind is the matter of ``tests/campaigns``; the readers are the same, and some more.
"""

from __future__ import annotations

import json
import os
import re
import signal
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from fuzz_targets import TARGETS

import minidl
from minidl import WeightsError
from minidl.data import DatasetError, WordPiece, glue
from minidl.data.download import Published, verify
from minidl.storage import tensors
from minidl.storage.sealed import DamagedFile, read_sealed, write_sealed
from minidl.study.cells import Cells
from minidl.study.folder import study_of
from minidl.study.report import pictures, read_rows, read_summary
from minidl.training.checkpoint import CheckpointError


class Reader(NamedTuple):
    name: str  # of the file
    write: Callable[[Path], object]  # a valid file
    read: Callable[[Path], Any]
    refusal: Any  # an exception, or several


UNREADABLE = (ValueError, OSError)
VOCABULARY = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n"
BERT = {"vocab_size": 5, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1}
BERT |= {"intermediate_size": 4, "max_position_embeddings": 4, "type_vocab_size": 2}
COLA = glue._File("x.tsv", 1, 1)


def write_bert(folder: Path) -> None:
    from minidl.models import BertSizes, bert_tensors

    sizes = BertSizes(vocabulary=5, features=4, blocks=1, heads=1, hidden=4, positions=4)
    zeros = {n: np.zeros(one.shape, "f4") for n, one in bert_tensors.tensors_of(sizes).items()}
    tensors.save(folder / "model.safetensors", zeros)
    (folder / "config.json").write_text(json.dumps(BERT))
    (folder / "vocab.txt").write_bytes(VOCABULARY)


def of_bert(name: str) -> Reader:
    from minidl.models import PretrainedError, pretrained

    return Reader(
        name,
        lambda path: write_bert(path.parent),
        lambda path: pretrained(path.parent),
        PretrainedError,
    )


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def write_cell(path: Path) -> None:
    from minidl.study.pools import Threads

    Cells(path.parents[1], {}).train({"a": lambda checkpoint: [1]}, list[int], Threads(1))


READERS = {
    **{
        name: Reader(
            t.name, lambda path, t=t: path.write_bytes(t.valid), t.read, (t.refusal, DatasetError)
        )
        for name, t in TARGETS.items()
    },
    "sealed": Reader(
        "a", lambda path: write_sealed(path, [1]), lambda p: read_sealed(p, list), DamagedFile
    ),
    "cell": Reader(
        "cells/a.cell",
        write_cell,
        lambda p: Cells(p.parents[1], {}).read("a", list[int]),
        CheckpointError,
    ),
    "safetensors": Reader(
        "w.safetensors",
        lambda path: tensors.save(path, {"W": np.ones(3, np.float32)}),
        lambda path: tensors.load(path, {"W": (3,)}, np.dtype("float32")),
        WeightsError,
    ),
    "a download": Reader(
        "x.gz",
        lambda path: path.write_bytes(b"abc"),
        lambda path: verify(
            path, Published("x.gz", 3, "900150983cd24fb0d6963f7d28e17f72", ("https://x/x.gz",))
        ),
        DatasetError,
    ),
    "glue": Reader(
        "x.tsv", text("a\t1\t\tYes.\n"), lambda p: glue.COLA._texts(p, COLA), DatasetError
    ),
    "vocabulary": Reader(
        "vocab.txt", lambda p: p.write_bytes(VOCABULARY), WordPiece.of_file, UNREADABLE
    ),
    "bert's tensors": of_bert("model.safetensors"),
    "bert's sizes": of_bert("config.json"),
    "bert's vocabulary": of_bert("vocab.txt"),
    "a run's summary": Reader(
        "summary.json", text('{"a": 1}'), lambda path: read_summary(path.parent), UNREADABLE
    ),
    "a run's rows": Reader(
        "epochs.csv", text("a,b\n1,2\n"), lambda path: read_rows(path.parent, path.name), UNREADABLE
    ),
    "a run's picture": Reader(
        "figures/x.png", text("x"), lambda path: pictures(path.parents[1], {"x": "x"}), UNREADABLE
    ),
    "a run's marker": Reader(
        "minidl-run.json", text('{"study": "x"}'), lambda path: study_of(path.parent), UNREADABLE
    ),
}
# A part of these is not told from the whole: text without a checksum, a picture for a browser.
UNCHECKED = {"a run's rows", "a run's picture"}

each_reader = pytest.mark.parametrize("reader", READERS.values(), ids=READERS)


@pytest.fixture(autouse=True)
def at_once():
    """A reader that waits fails, in place of a test that never ends; not on Windows."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def fail(*signal):
        raise AssertionError("still reading after 20 s")

    former = signal.signal(signal.SIGALRM, fail)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


@pytest.fixture
def path(reader, tmp_path):
    """A valid file of this kind."""
    path = tmp_path / reader.name
    path.parent.mkdir(exist_ok=True)
    reader.write(path)
    return path


@each_reader
def test_the_whole_file_is_read_and_nothing_else(reader, path):
    reader.read(path)
    whole = path.read_bytes()
    path.unlink()
    path.mkdir()
    with pytest.raises(reader.refusal):
        reader.read(path)
    path.rmdir()
    for part in (b"", whole[: len(whole) // 2]):
        path.write_bytes(part)
        if not any(reader is READERS[name] for name in UNCHECKED):
            with pytest.raises(reader.refusal):
                reader.read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@each_reader
def test_a_pipe_and_a_device_are_refused_without_waiting(reader, path):
    for kind in ("a pipe", "a device or a socket"):
        path.unlink()
        os.mkfifo(path) if kind == "a pipe" else path.symlink_to("/dev/zero")
        told = f"{path.name}: expected (a plain file, got {kind}|.* got 0;)"
        with pytest.raises(reader.refusal, match=told):
            reader.read(path)


@each_reader
def test_memory_is_taken_for_what_is_there_not_for_what_may_be(reader, path):
    """1 GiB for a checkpoint of 1 kB would end a run where memory is scarce, after training."""
    reader.read(path)  # imports, caches
    assert peak(reader, path) < 5 << 20


@each_reader
def test_no_file_is_too_large_to_be_refused(reader, path):
    """The valid file, followed by 10 GB of zeros that take no space on the disk."""
    os.truncate(path, 10_000_000_000)
    with pytest.raises(reader.refusal):
        reader.read(path)
    assert peak(reader, path) < 70 << 20


def peak(reader, path) -> int:
    """Bytes allocated at once while the file is read or refused."""
    tracemalloc.start()
    with suppress(Exception):
        reader.read(path)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return taken


def test_no_reader_unpickles():
    """A pickle may run code."""
    for source in Path(minidl.__file__).parent.rglob("*.py"):
        text = source.read_text("utf-8")
        assert not re.search(r"^\s*(import|from) pickle|allow_pickle=True", text, re.M), source
