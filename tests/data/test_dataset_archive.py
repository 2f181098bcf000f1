"""Archives: the named members are extracted complete; anything unusual is refused."""

from __future__ import annotations

import gzip
import os
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidl.data import PUBLISHED, CorruptDataset, DatasetError, DatasetNotFound, archive, load
from minidl.data.archive import extract

ARCHIVE = "cifar-100-binary.tar.gz"
EXTRACTED = ["cifar-100-binary/test.bin", "cifar-100-binary/train.bin"]
WANTED = {"d/a.bin": 2000, "d/b.bin": 3000}
A, B = ("d/a.bin", b"a" * 2000), ("d/b.bin", b"b" * 3000)


def test_archive_is_unpacked_next_to_itself(cifar_archive, publish, leftovers, tmp_path):
    content, made = cifar_archive
    publish(content)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / ARCHIVE).write_bytes(content)
    dataset = load("cifar-100", folder)
    made.check(dataset)
    assert dataset.source == str(folder / "cifar-100-binary")
    assert leftovers(folder) == sorted([ARCHIVE, *EXTRACTED])
    (folder / ARCHIVE).unlink()
    made.check(load("cifar-100", folder))


def test_only_what_is_missing_is_unpacked(cifar_archive, publish, tmp_path):
    content, made = cifar_archive
    publish(content)
    (tmp_path / ARCHIVE).write_bytes(content)
    load("cifar-100", tmp_path)
    (tmp_path / EXTRACTED[0]).unlink()
    before = (tmp_path / EXTRACTED[1]).stat()
    made.check(load("cifar-100", tmp_path))
    after = (tmp_path / EXTRACTED[1]).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_archive_in_a_read_only_folder_is_unpacked_into_the_cache(
    cifar_archive, publish, leftovers, tmp_path, monkeypatch
):
    content, made = cifar_archive
    publish(content)
    folder = tmp_path / "read-only"
    folder.mkdir()
    (folder / ARCHIVE).write_bytes(content)
    monkeypatch.setattr(os, "access", lambda path, mode: os.fspath(path) != str(folder))
    made.check(load("cifar-100", folder))
    assert leftovers(folder) == [ARCHIVE]
    assert leftovers(tmp_path / "cache") == EXTRACTED


def test_archive_with_other_bytes(cifar_archive, publish, leftovers, tmp_path):
    content, _ = cifar_archive
    published = publish(content)
    other = bytearray(content)
    other[len(other) // 2] ^= 1
    (tmp_path / ARCHIVE).write_bytes(other)
    with pytest.raises(CorruptDataset, match=f"expected MD5 {published.md5}, got ") as e:
        load("cifar-100", tmp_path)
    assert f"{tmp_path / ARCHIVE}: " in str(e.value)
    assert "delete it" in str(e.value)
    assert not (tmp_path / "cifar-100-binary").exists()


@pytest.mark.parametrize("change", [-1, 1])
def test_archive_of_another_size(change, cifar_archive, publish, tmp_path):
    content, _ = cifar_archive
    publish(content)
    other = content + b"\0" if change > 0 else content[:-1]
    (tmp_path / ARCHIVE).write_bytes(other)
    sizes = f"expected {len(content):,} bytes, got {len(other):,}"
    with pytest.raises(CorruptDataset, match=sizes):
        load("cifar-100", tmp_path)


def test_wrong_file_in_place_is_not_overwritten(cifar_archive, publish, tmp_path):
    content, _ = cifar_archive
    publish(content)
    (tmp_path / ARCHIVE).write_bytes(content)
    (tmp_path / "cifar-100-binary").mkdir()
    (tmp_path / EXTRACTED[0]).write_bytes(b"the user's own")
    with pytest.raises(CorruptDataset, match=r"test\.bin: expected .* bytes.*got 14"):
        load("cifar-100", tmp_path)
    assert (tmp_path / EXTRACTED[0]).read_bytes() == b"the user's own"


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
def test_bad_archive(case, tar_gz, leftovers, tmp_path):
    members, message = BAD[case]
    path = tmp_path / "in" / "x.tar.gz"
    path.parent.mkdir()
    path.write_bytes(tar_gz(members))
    with pytest.raises(CorruptDataset, match=message) as e:
        extract(path, WANTED, tmp_path / "in" / "out")
    assert str(path) in str(e.value)
    written = [file for file in leftovers(tmp_path) if file != "in/x.tar.gz"]
    assert set(written) <= {"in/out/d/a.bin", "in/out/d/b.bin"}
    for file in written:
        assert (tmp_path / file).stat().st_size == WANTED[file.removeprefix("in/out/")]


def test_bomb_is_not_unpacked(tar_gz, tmp_path, monkeypatch):
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


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", gzip.compress(b""), gzip.compress(b"x" * 600)],
    ids=["empty", "page", "nothing gzipped", "text gzipped"],
)
def test_not_an_archive(content, tmp_path):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    with pytest.raises(CorruptDataset, match=r"x\.tar\.gz: expected"):
        extract(path, WANTED, tmp_path)


def test_truncated_archive_leaves_no_part_behind(tar_gz, leftovers, tmp_path):
    content = tar_gz([A, ("d/b.bin", os.urandom(3000))])
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content[:-1500])
    with pytest.raises(CorruptDataset):
        extract(path, WANTED, tmp_path)
    assert set(leftovers(tmp_path)) <= {"x.tar.gz", "d/a.bin"}


def test_cannot_be_written(tar_gz, tmp_path):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(tar_gz([A, B]))
    (tmp_path / "d").write_bytes(b"a file where the folder goes")
    with pytest.raises(DatasetError, match="cannot be unpacked into"):
        extract(path, WANTED, tmp_path)


def test_truncated_sparse_header(tmp_path):
    info = tarfile.TarInfo("d/a.bin")
    info.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[482] = 1  # claims that more of the header follows; nothing does
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(bytes(block)))
    with pytest.raises(CorruptDataset, match=r"x\.tar\.gz: expected a \.tar\.gz archive"):
        extract(path, WANTED, tmp_path)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80
)
@given(data=st.data())
def test_any_damage_is_refused_or_harmless(data, tar_gz, tmp_path_factory):
    """Damaged headers and contents: files of the right size, or CorruptDataset."""
    tmp_path = tmp_path_factory.mktemp("fuzz")
    tar = bytearray(gzip.decompress(tar_gz([A, B])))
    interesting = [*range(512), *range(512 + 2048, 512 + 2048 + 512)]
    for at in data.draw(st.lists(st.sampled_from(interesting), min_size=1, max_size=4)):
        tar[at] = data.draw(st.integers(0, 255))
    for start in (0, 2560):  # make the header's checksum fit the damage
        fields = tar[start : start + 148] + b" " * 8 + tar[start + 156 : start + 512]
        tar[start + 148 : start + 156] = b"%06o\0 " % sum(fields)
    path = tmp_path / "x.tar.gz"
    path.write_bytes(gzip.compress(bytes(tar), 1))
    try:
        extract(path, WANTED, tmp_path / "out")
    except CorruptDataset:
        pass
    else:
        assert {name: (tmp_path / "out" / name).stat().st_size for name in WANTED} == WANTED
    written = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert written <= {"out/d/.a.bin.lock", "x.tar.gz", "out/d/a.bin", "out/d/b.bin"}


def test_named_folder_with_nothing_is_not_filled(leftovers, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    for name in ("auto", "cifar-100", "cifar-10", "mnist", "fashion-mnist"):
        with pytest.raises(DatasetNotFound, match="Leave out the folder"):
            load(name, folder)
    assert leftovers(tmp_path) == []
    assert PUBLISHED["cifar-100"].archive.urls[0].startswith("http://127.0.0.1")
