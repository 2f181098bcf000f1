"""A pipe or a device in place of a data file is an error at once."""

from __future__ import annotations

import os

import pytest

from minidl.data.archive import extract
from minidl.data.cifar import CIFAR_100
from minidl.data.dataset import DatasetError
from minidl.data.download import Published, verify
from minidl.data.idx import read_idx

READERS = {
    "idx": lambda path: read_idx(path, (0,)),
    "idx.gz": lambda path: read_idx(path, (3,)),
    "cifar": lambda path: CIFAR_100._read_file(path, *CIFAR_ARRAYS),
    "archive": lambda path: extract(path, {"a.bin": 3}, path.parent / "unpacked"),
    "download": lambda path: verify(path, Published(path.name, 0, "0" * 32, ("https://x/",))),
}
CIFAR_ARRAYS = ([[0] * 3072], [0])  # one record is wanted


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("kind", ["a pipe", "a device or a socket"])
@pytest.mark.parametrize("name", READERS)
def test_anything_but_a_plain_file_is_refused_without_waiting(name, kind, tmp_path):
    path = tmp_path / f"x.{name.partition('.')[2] or 'bin'}"
    if kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(DatasetError, match=f"expected a plain file, got {kind}"):
        READERS[name](path)
