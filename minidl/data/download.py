"""Downloading a published file: from its mirrors, checked, completely or not at all."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from minidl.data.dataset import CorruptDataset, DatasetError, DatasetNotFound
from minidl.data.places import own_mirror
from minidl.data.transfer import MirrorError, blocks
from minidl.data.turns import sole_writer
from minidl.storage.files import open_to_read, whole_file

PAUSES = (1.0, 4.0)  # seconds before a mirror is asked for the second and the third time
BLOCK = 1 << 20  # bytes read at a time


@dataclass(frozen=True)
class Published:
    """A file as its source publishes it: size in bytes, MD5, and where to get it.

    ``path`` is its location in a data folder, and below the address of a user's mirror.
    """

    path: str
    size: int
    md5: str
    urls: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.urls[0]} ({self.size:,} bytes, MD5 {self.md5})"


def fetch(file: Published, folder: Path, progress: bool = True) -> Path:
    """Download ``file`` to its path in ``folder`` from the first mirror with the right bytes.

    The mirror named by ``$MINIDL_MIRROR`` is tried first. Mirrors with a temporary fault
    are tried again, twice, after ``PAUSES``. The file is written under a temporary name
    and renamed once its size and MD5 are right, so that a broken download leaves
    nothing behind. Of several processes, one downloads; the others wait and find the file.

    Raises
    ------
    DatasetNotFound
        with the answer of each mirror, or if ``folder`` is not writable.
    DatasetError
        if ``$MINIDL_MIRROR`` is not an address.
    """
    path = folder / file.path
    mirrors = (*own_mirror(file.path), *file.urls)
    try:
        with sole_writer([path], say=progress):
            with suppress(DatasetError):  # another process may have got it while this one waited
                verify(path, file)
                return path
            failures = _download(file, mirrors, path, progress)
    except OSError as error:
        raise DatasetNotFound(
            f"{path}: cannot be written: {error}; set MINIDL_DATA to a folder that can",
            f"{path} cannot be written ({error})",
        ) from error
    if not failures:
        return path
    told = "".join(f"\n  {url}: {why}" for url, why in failures.items())
    short = ", ".join(f"{urlsplit(url).hostname}: {why}" for url, why in failures.items())
    raise DatasetNotFound(
        f"{file.name} could not be downloaded:{told}\nFetch {file} by other means and put it "
        f"into {path.parent}, or name the folder that holds it (--data-dir, or MINIDL_DATA)",
        f"{file.name} could not be downloaded ({short})",
    )


def _download(
    file: Published, mirrors: tuple[str, ...], path: Path, progress: bool
) -> dict[str, str]:
    """Write ``file`` to ``path``; where no mirror gave it, what each answered last."""
    failures: dict[str, str] = {}
    for times, pause in enumerate((0.0, *PAUSES), 1):
        if mirrors and times > 1:
            for url in mirrors if progress else ():
                print(f"{url}: {failures[url]}; asked again in {pause:g} s", file=sys.stderr)
            time.sleep(pause)
        again = []
        for url in mirrors:
            try:
                with whole_file(path, "wb") as out:
                    _transfer(file, url, out, progress)
                return {}
            except MirrorError as error:
                failures[url] = f"{error}" + (f" (asked {times} times)" if times > 1 else "")
                if error.passing:
                    again.append(url)
        mirrors = tuple(again)
    return failures


def _transfer(file: Published, url: str, out: IO[bytes], progress: bool) -> None:
    """Fill ``out`` from ``url`` with exactly the published bytes, or raise ``MirrorError``."""
    size, digest = 0, hashlib.md5(usedforsecurity=False)
    with closing(blocks(url)) as coming, _progress(file, url, progress) as shown:
        for block in coming:
            size += len(block)
            if size > file.size:
                raise MirrorError(f"sent more than the expected {file.size:,} bytes")
            digest.update(block)
            out.write(block)
            shown(len(block))
    if size != file.size:
        raise MirrorError(f"sent {size:,} bytes, expected {file.size:,}")
    if digest.hexdigest() != file.md5:
        raise MirrorError(f"sent other bytes: MD5 {digest.hexdigest()}, expected {file.md5}")


@contextmanager
def _progress(file: Published, url: str, progress: bool) -> Iterator[Callable[[int], object]]:
    """To be told of each block: a bar on a terminal, elsewhere one line at the beginning."""
    if not progress:
        yield int
    elif sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(desc=file.name, total=file.size, unit="B", unit_scale=True) as bar:
            yield bar.update
    else:
        print(f"downloading {url} ({file.size / 1e6:.1f} MB)", file=sys.stderr, flush=True)
        yield int


def verify(path: Path, file: Published) -> None:
    """Check that ``path`` holds the published bytes.

    Raises
    ------
    CorruptDataset
        if size or MD5 differ, with both.
    DatasetError
        if the file cannot be read.
    """
    advice = f"delete it and get it again from {file.urls[0]}"
    try:
        size = path.stat().st_size
        if size != file.size:
            raise CorruptDataset(f"{path}: expected {file.size:,} bytes, got {size:,}; {advice}")
        digest = hashlib.md5(usedforsecurity=False)
        with open_to_read(path) as opened:
            while block := opened.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if digest.hexdigest() != file.md5:
        raise CorruptDataset(f"{path}: expected MD5 {file.md5}, got {digest.hexdigest()}; {advice}")
