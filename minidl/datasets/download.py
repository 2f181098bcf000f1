"""Getting a published file: from its mirrors, checked, whole or not at all."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from minidl.datasets.dataset import CorruptDataset, DatasetError, DatasetNotFound
from minidl.files import whole_file

CONNECT_TIMEOUT = 4.0  # seconds for a connection, per address of the server
READ_TIMEOUT = 15.0  # seconds without a byte
BLOCK = 1 << 20  # bytes read at a time


@dataclass(frozen=True)
class Published:
    """A file as its source publishes it: name, size in bytes, MD5, and where to get it."""

    name: str
    size: int
    md5: str
    urls: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.urls[0]} ({self.size:,} bytes, MD5 {self.md5})"


class _MirrorError(Exception):
    """One mirror did not give the file; the next one may."""


class _DiskError(Exception):
    """The bytes came and could not be written; no mirror helps."""


class _Checked:
    """A file to write that takes no more bytes than published and knows their MD5."""

    def __init__(self, file: Published, out: IO[bytes]) -> None:
        self.file = file
        self.out = out
        self.size = 0
        self.digest = hashlib.md5(usedforsecurity=False)

    def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self.file.size:
            raise _MirrorError(f"sent more than the expected {self.file.size:,} bytes")
        self.digest.update(chunk)
        try:
            self.out.write(chunk)
        except OSError as error:
            raise _DiskError(str(error)) from error

    def flush(self) -> None:
        """Nothing after each chunk: the file is flushed once, when it is complete."""

    def finish(self) -> None:
        """Raise unless exactly the published bytes were written."""
        if self.size != self.file.size:
            raise _MirrorError(f"sent {self.size:,} bytes, expected {self.file.size:,}")
        if self.digest.hexdigest() != self.file.md5:
            raise _MirrorError(
                f"sent other bytes: MD5 {self.digest.hexdigest()}, expected {self.file.md5}"
            )


def fetch(file: Published, folder: Path, progress: bool = True) -> Path:
    """Download ``file`` into ``folder`` from the first mirror that gives the right bytes.

    It is written beside its place and moved there once its size and MD5 are right,
    so that a broken download leaves nothing, and two processes may do it at once.

    Raises
    ------
    DatasetNotFound
        with what each mirror answered, or where ``folder`` cannot be written.
    """
    path = folder / file.name
    failures = []
    for url in file.urls:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(path, "wb") as out:
                _transfer(url, _Checked(file, out), progress)
            return path
        except _MirrorError as error:
            failures.append((url, str(error)))
        except (_DiskError, OSError) as error:
            raise DatasetNotFound(
                f"{path}: cannot be written: {error}; set MINIDL_DATA to a folder that can",
                f"{path} cannot be written ({error})",
            ) from error
    told = "".join(f"\n  {url}: {why}" for url, why in failures)
    short = ", ".join(f"{urlsplit(url).hostname}: {why}" for url, why in failures)
    raise DatasetNotFound(
        f"{file.name} could not be downloaded:{told}\nFetch {file} by other means and put it "
        f"into {folder}, or name the folder that holds it (--data-dir, or MINIDL_DATA)",
        f"{file.name} could not be downloaded ({short})",
    )


def _transfer(url: str, out: _Checked, progress: bool) -> None:
    """Fill ``out`` from ``url``; ``_MirrorError`` says in a few words why it did not work."""
    import pooch
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    bar = _progress_bar(out.file, url) if progress else None
    downloader = pooch.HTTPDownloader(
        progressbar=False if bar is None else bar,
        chunk_size=1 << 16,
        timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
        headers={"Accept-Encoding": "identity"},  # the bytes as published, not repacked
    )
    try:
        downloader(url, out, None)
    except (RequestException, HTTPError, OSError, ValueError) as error:
        raise _MirrorError(_in_short(error, out.size)) from error
    finally:
        if bar is not None:
            bar.close()
    out.finish()


def _progress_bar(file: Published, url: str) -> Any:
    """A bar on a terminal; elsewhere one line, and no bar."""
    if not sys.stderr.isatty():
        print(f"downloading {url} ({file.size / 1e6:.1f} MB)", file=sys.stderr, flush=True)
        return None
    from tqdm import tqdm

    return tqdm(desc=file.name, total=file.size, unit="B", unit_scale=True)


def _in_short(error: Exception, received: int) -> str:
    from requests import exceptions as http

    if isinstance(error, http.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, http.ConnectTimeout):
        return f"no connection within {CONNECT_TIMEOUT:.0f} s"
    if isinstance(error, http.Timeout):
        return f"no answer within {READ_TIMEOUT:.0f} s"
    if received:
        return f"broke off after {received:,} bytes"
    if isinstance(error, http.ConnectionError):
        return "no connection"
    return f"{type(error).__name__}: {error}"


def verify(path: Path, file: Published) -> None:
    """Check that ``path`` holds the published bytes.

    Raises
    ------
    CorruptDataset
        where size or MD5 differ, with both.
    DatasetError
        where the file cannot be read.
    """
    advice = f"delete it and get it again from {file.urls[0]}"
    try:
        size = path.stat().st_size
        if size != file.size:
            raise CorruptDataset(f"{path}: expected {file.size:,} bytes, got {size:,}; {advice}")
        digest = hashlib.md5(usedforsecurity=False)
        with open(path, "rb") as opened:
            while block := opened.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from error
    if digest.hexdigest() != file.md5:
        raise CorruptDataset(f"{path}: expected MD5 {file.md5}, got {digest.hexdigest()}; {advice}")
