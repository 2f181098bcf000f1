"""Archives: the named members are extracted complete; anything unusual is refused."""

from __future__ import annotations

import gzip
import os
import tarfile

import pytest

from minidl.data import CorruptDataset, DatasetError, archive, load
from minidl.data.archive import extract

ARCHIVE = "cifar-100-binary.tar.gz"
EXTRACTED = ["cifar-100-binary/test.bin", "cifar-100-binary/train.bin"]
WANTED = {"d/a.bin": 2000, "d/b.bin": 3000}
A, B = ("d/a.bin", b"a" * 2000), ("d/b.bin", b"b" * 3000)


@pytest.fixture
def folder(cifar_archive, publish, tmp_path):
    """A data folder that holds the archive alone."""
    content, _ = cifar_archive
    publish(content)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / ARCHIVE).write_bytes(content)
    return folder


def test_an_archive_is_unpacked_next_to_itself_and_only_what_is_missing(
    folder, cifar_archive, leftovers
):
    _, made = cifar_archive
    dataset = load("cifar-100", folder)
    made.check(dataset)
    assert dataset.source == str(folder / "cifar-100-binary")
    assert leftovers(folder) == sorted([ARCHIVE, *EXTRACTED])
    (folder / EXTRACTED[0]).unlink()
    before = (folder / EXTRACTED[1]).stat()
    made.check(load("cifar-100", folder))
    after = (folder / EXTRACTED[1]).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    (folder / ARCHIVE).unlink()
    made.check(load("cifar-100", folder))


def test_an_archive_in_a_read_only_folder_is_unpacked_into_the_cache(
    folder, cifar_archive, leftovers, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "access", lambda path, mode: os.fspath(path) != str(folder))
    cifar_archive[1].check(load("cifar-100", folder))
    assert leftovers(folder) == [ARCHIVE]
    assert leftovers(tmp_path / "cache") == EXTRACTED


def test_an_archive_with_other_bytes_or_of_another_size_is_refused(folder, leftovers):
    path = folder / ARCHIVE
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    for other, message in (
        (flipped, "expected MD5 [0-9a-f]{32}, got "),
        (good[:-1], f"expected {len(good):,} bytes, got {len(good) - 1:,}"),
        (good + b"\0", f"expected {len(good):,} bytes, got {len(good) + 1:,}"),
    ):
        path.write_bytes(other)
        with pytest.raises(CorruptDataset, match=f"{path}: {message}.*; delete it"):
            load("cifar-100", folder)
    assert leftovers(folder) == [ARCHIVE]


def test_a_wrong_file_in_place_is_not_overwritten(folder):
    path = folder / EXTRACTED[0]
    path.parent.mkdir()
    path.write_bytes(b"the user's own")
    with pytest.raises(CorruptDataset, match=r"test\.bin: expected .* bytes.*got 14"):
        load("cifar-100", folder)
    assert path.read_bytes() == b"the user's own"


def link(name, kind=tarfile.SYMTYPE, to="/etc/passwd"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info, b""


def huge(name):
    """A header that claims 8 GiB, which tarfile would skip step by step."""
    info = tarfile.TarInfo(name)
    info.type, info.size = tarfile.CONTTYPE, 2**33
    return info, None


BAD = {
    "lacks a member": ([A], r"expected d/b\.bin in it"),
    "empty": ([], r"expected d/a\.bin, d/b\.bin in it"),
    "other folder": ([("x/a.bin", A[1]), B], r"expected d/a\.bin in it"),
    "leads up": ([A, ("../evil", b"x"), B], r"refused: '\.\./evil'"),
    "leads up within": ([A, ("d/../../evil", b"x"), B], "refused"),
    "absolute": ([A, ("/evil", b"x"), B], "refused: '/evil'"),
    "symbolic link for a member": ([link("d/a.bin"), B], "refused.*is a link"),
    "symbolic link before a member": ([link("d", to=".."), A, B], "refused.*is a link"),
    "hard link": ([link("d/a.bin", tarfile.LNKTYPE), B], "refused.*is a link"),
    "device": ([link("d/a.bin", tarfile.CHRTYPE, ""), B], "refused"),
    "pipe": ([link("d/a.bin", tarfile.FIFOTYPE, ""), B], "refused"),
    "folder for a member": ([link("d/a.bin", tarfile.DIRTYPE, ""), B], "to be a file of 2,000"),
    "oversized member": ([("d/a.bin", b"a" * 2001), B], "2,000 bytes, got 2,001"),
    "undersized member": ([A, ("d/b.bin", b"")], "3,000 bytes, got 0"),
    "huge member": ([huge("d/x"), A, B], "refused: 8,589,934,592 bytes in a member"),
    "many members": ([(f"d/{n}", b"") for n in range(1001)], "more than 1000 members"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_archive_writes_nothing_but_whole_members_in_their_places(
    case, tar_gz, leftovers, tmp_path
):
    members, message = BAD[case]
    path = tmp_path / "in" / "x.tar.gz"
    path.parent.mkdir()
    path.write_bytes(tar_gz(members))
    with pytest.raises(CorruptDataset, match=f"{path}: .*{message}"):
        extract(path, WANTED, tmp_path / "in" / "out")
    written = [file for file in leftovers(tmp_path) if file != "in/x.tar.gz"]
    assert set(written) <= {"in/out/d/a.bin", "in/out/d/b.bin"}
    for file in written:
        assert (tmp_path / file).stat().st_size == WANTED[file.removeprefix("in/out/")]


def test_a_bomb_is_not_unpacked(tar_gz, tmp_path, monkeypatch):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(tar_gz([*[(f"d/{n}", bytes(3 << 20)) for n in range(4)], A, B]))
    read = []
    original = gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda self, n=-1: read.append(n) or original(self, n)
    )
    with pytest.raises(CorruptDataset, match="unpacks to more than its members need"):
        extract(path, WANTED, tmp_path)
    assert sum(read) <= archive.SLACK + 2 * archive.BLOCK
    assert max(read) <= archive.BLOCK


def sparse_header():
    """It claims that more of the header follows; nothing does."""
    info = tarfile.TarInfo("d/a.bin")
    info.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[482] = 1
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def test_not_an_archive_or_a_part_of_one(tar_gz, leftovers, tmp_path):
    path = tmp_path / "x.tar.gz"
    whole = tar_gz([A, ("d/b.bin", os.urandom(3000))])
    zipped = map(gzip.compress, (b"", b"x" * 600, sparse_header()))
    for content in (b"", b"<html>", *zipped, whole[:-1500]):
        path.write_bytes(content)
        with pytest.raises(CorruptDataset, match=r"x\.tar\.gz: (expected|d/b.bin breaks off)"):
            extract(path, WANTED, tmp_path)
    assert set(leftovers(tmp_path)) <= {"x.tar.gz", "d/a.bin"}


def test_a_disk_that_fills_up_and_a_folder_that_cannot_be_written(
    tar_gz, leftovers, tmp_path, full_disk
):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(tar_gz([("d/a.bin", bytes(5000)), B]))
    with full_disk, pytest.raises(DatasetError, match=r"cannot be unpacked .*File too large"):
        extract(path, {"d/a.bin": 5000}, tmp_path / "out")
    assert leftovers(tmp_path) == ["x.tar.gz"]
    (tmp_path / "d").write_bytes(b"a file where the folder goes")
    with pytest.raises(DatasetError, match="cannot be unpacked into"):
        extract(path, {"d/a.bin": 5000}, tmp_path)
