"""Taking named members of known sizes out of a .tar.gz, and nothing else."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from minidl.data.dataset import CorruptDataset, DatasetError
from minidl.data.turns import sole_writer
from minidl.storage.files import open_to_read, whole_file

BLOCK = 1 << 20  # bytes copied at a time
MEMBERS = 1000  # the official archives hold fewer than ten
SLACK = 4 << 20  # bytes of headers, padding and small files beside the wanted members

# What gzip and tarfile raise on bytes that are not theirs.
_BROKEN = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
    LookupError,
)


def extract(archive: Path, members: Mapping[str, int], folder: Path, say: bool = True) -> None:
    """Write each of ``members`` (name in the archive -> size in bytes) to its place.

    A member ``a/b.bin`` goes to ``folder/a/b.bin``: paths come from ``members``, never
    from the archive.  Each file is written beside its place and moved there when it
    is complete; one that is there already is left alone.  Of several processes one
    unpacks, the others wait (and ``say`` so) and find the files.

    Raises
    ------
    CorruptDataset
        for an archive that lacks a member, that holds one of another size or kind, a
        link, a device or a path leading out of it, that unpacks to more than the
        members need, or that is not a readable archive.
    DatasetError
        if ``archive`` cannot be read or ``folder`` cannot be written.
    """
    missing = dict(members)
    limit = sum(members.values()) + SLACK
    try:
        with (
            sole_writer([folder / name for name in members], say),
            _packed(archive, limit) as packed,
            gzip.GzipFile(fileobj=packed, mode="rb") as unpacked,
            _open(archive, unpacked, limit) as tar,
        ):
            for number, member in enumerate(tar):
                if number >= MEMBERS:
                    raise CorruptDataset(f"{archive}: refused: more than {MEMBERS} members")
                if not 0 <= member.size <= limit:  # tarfile would skip it step by step, for years
                    raise CorruptDataset(f"{archive}: refused: {member.size:,} bytes in a member")
                _refuse_unsafe(archive, member)
                if member.name not in missing:
                    continue
                size = missing.pop(member.name)
                if member.size != size or not member.isreg() or member.issparse():
                    raise CorruptDataset(
                        f"{archive}: expected {member.name} to be a file of {size:,} bytes, "
                        f"got {member.size:,} bytes (type {member.type!r})"
                    )
                _write(archive, tar.extractfile(member), size, folder / member.name)
                if not missing:
                    return
    except _BROKEN as error:
        raise CorruptDataset(
            f"{archive}: expected a .tar.gz archive, got {type(error).__name__}: {error}"
        ) from error
    except OSError as error:
        raise DatasetError(f"{archive}: cannot be unpacked into {folder}: {error}") from error
    raise CorruptDataset(f"{archive}: expected {', '.join(missing)} in it, found none such")


def _packed(archive: Path, limit: int) -> IO[bytes]:
    """The archive as it is: gzip would skip zeros after its end one by one, for hours."""
    if (size := archive.stat().st_size) > limit:
        raise CorruptDataset(f"{archive}: {size:,} bytes gzipped, for {limit:,} unpacked at most")
    return open_to_read(archive)


def _open(archive: Path, unpacked: gzip.GzipFile, limit: int) -> tarfile.TarFile:
    """The archive as a stream that is passed over once; nothing is sought or kept."""
    bounded: Any = _Bounded(archive, unpacked, limit)
    return tarfile.open(fileobj=bounded, mode="r|", bufsize=BLOCK)


class _Bounded:
    """Reads from ``file`` until ``limit`` bytes came, then raises ``CorruptDataset``."""

    def __init__(self, archive: Path, file: gzip.GzipFile, limit: int) -> None:
        self.archive = archive
        self.file = file
        self.left = limit

    def read(self, size: int) -> bytes:
        block = self.file.read(size)
        self.left -= len(block)
        if self.left < 0:
            raise CorruptDataset(f"{self.archive}: unpacks to more than its members need")
        return block


def _refuse_unsafe(archive: Path, member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise CorruptDataset(
            f"{archive}: refused: {member.name!r} (type {member.type!r}) is a link, a device "
            "or leads out of the archive"
        )


def _write(archive: Path, source: IO[bytes] | None, size: int, path: Path) -> None:
    if path.exists() or source is None:
        return
    with whole_file(path, "wb") as out:
        left = size
        while left and (block := source.read(min(left, BLOCK))):
            out.write(block)
            left -= len(block)
        if left:
            raise CorruptDataset(f"{archive}: {path.name} breaks off {left:,} bytes early")
