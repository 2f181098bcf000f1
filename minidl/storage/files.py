"""Files that are complete or absent; reading only regular files, up to a limit."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

BLOCK = 1 << 20  # bytes read at a time

# The temporary name under which whole_file writes a file: nothing else has such a name.
PART = re.compile(r"\.(?P<name>.+)\.minidl-\d+-\d+\.part", re.DOTALL)


class NotAPlainFile(OSError):
    """There is a folder, a pipe, a device or a socket where a file should be read or written."""


def open_to_read(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a regular file; anything else is refused at once.

    A pipe would block and a device may never end, so the check is made on
    what was opened, without blocking, not on what is at ``path``.

    Raises
    ------
    NotAPlainFile
        for a folder, a pipe, a device, a socket.
    OSError
        if it cannot be read; FileNotFoundError if there is nothing.
    """
    ways = ("O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_CLOEXEC")  # as far as the system has them
    try:
        number = os.open(path, os.O_RDONLY | sum(getattr(os, way, 0) for way in ways))
    except OSError as error:
        if os.path.exists(path) and not os.path.isfile(path):
            raise _not_plain(path, os.stat(path).st_mode) from error  # for example a socket
        raise
    try:
        mode = os.fstat(number).st_mode
        if not stat.S_ISREG(mode):
            raise _not_plain(path, mode)
        return open(number, "rb")
    except BaseException:
        os.close(number)
        raise


def _not_plain(path: str | os.PathLike[str], mode: int) -> NotAPlainFile:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFLNK: "a symbolic link"}
    kind = kinds.get(stat.S_IFMT(mode), "a device or a socket")
    return NotAPlainFile(f"{path}: expected a plain file, got {kind}")


def read_bytes(path: str | os.PathLike[str], largest: int) -> bytes:
    """The contents of a regular file of at most ``largest`` bytes; a larger one is a ValueError."""
    with open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest:
            raise ValueError(f"{path}: expected at most {largest:,} bytes, got more")
        contents = file.read(size + 1)  # takes as much memory, where largest + 1 may be too much
    if len(contents) > size:
        raise ValueError(f"{path}: expected {size:,} bytes, got more: it is being written")
    return contents


def read_json(path: str | os.PathLike[str], what: str, largest: int) -> dict[str, Any]:
    """The object that a JSON file of at most ``largest`` bytes holds.

    Raises
    ------
    ValueError
        if it holds something else: ``what`` says what was expected.
    OSError
        as in :func:`open_to_read`.
    """
    try:
        found = json.loads(read_bytes(path, largest).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected {what} in JSON, got {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected {what} in JSON, got {type(found).__name__}")
    return found


def own_folder(path: Path) -> Path:
    """``path``, created if it does not exist; a link would lead out of its folder.

    Raises
    ------
    NotADirectoryError
        if there is something else.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        got = "a symbolic link" if path.is_symlink() else "a file"
        raise NotADirectoryError(f"{path}: expected a folder, got {got}; move it away")
    path.mkdir(exist_ok=True)
    return path


def expect_no_folder(path: Path) -> None:
    """Raise ``NotAPlainFile`` if there is a folder where a file should be written."""
    if path.is_dir() and not path.is_symlink():  # a link is replaced
        raise NotAPlainFile(f"{path}: expected a file or nothing there, got a folder; move it away")


@contextmanager
def whole_file(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write that appears at ``path`` only once it is complete.

    It is written under a temporary name, flushed to the disk and renamed; after an
    error nothing is left behind, and an existing file at ``path`` is unchanged.  ``mode``
    is ``"w"`` (UTF-8 text) or ``"wb"``.

    Raises
    ------
    FileNotFoundError, NotAPlainFile
        if its folder does not exist, or there is a folder in its place.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; create it first")
    expect_no_folder(path)
    beside = path.with_name(f".{path.name}.minidl-{os.getpid()}-{threading.get_ident()}.part")
    try:
        text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
        with open(beside, mode, **text) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        _flush_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):  # it may not be there, or not be removable, either
            beside.unlink()
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(beside)):
            error.filename = str(path)  # "No space left on device" alone does not say where
        raise


def _flush_folder(path: Path) -> None:
    """Make a renaming in the folder survive a power cut, if the system can."""
    if os.name == "posix":
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def try_lock(path: Path) -> Any:
    """The lock on the file ``path``, held while the returned object exists; None if it is taken.

    It is an operating-system lock, and ends with its process, however that ends; the file stays
    and has no meaning.

    Raises
    ------
    FileNotFoundError
        if the file cannot be created.
    NotAPlainFile
        if there is anything but a regular file, including a link to one.
    """
    from filelock import FileLock, Timeout

    with suppress(FileNotFoundError):
        if not stat.S_ISREG(mode := os.lstat(path).st_mode):
            raise _not_plain(path, mode)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not path.exists():  # nobody holds it: the folder is not writable
            raise FileNotFoundError(f"{path}: cannot be created") from None
        return None
    return lock


def is_part(name: str) -> bool:
    """Whether this is the name of a file that :func:`whole_file` has not finished."""
    return PART.fullmatch(name) is not None


def remove_parts(folder: Path, name: str | None = None) -> None:
    """Remove what :func:`whole_file` left in ``folder`` when processes were killed.

    Call this only if nothing else is writing there or, with ``name``, writing that file.
    """
    for path in folder.iterdir():
        part = PART.fullmatch(path.name)
        if part is not None and name in (None, part["name"]) and not path.is_dir():
            path.unlink(missing_ok=True)


def fill(view: memoryview, file: IO[bytes]) -> int:
    """Read into ``view`` until it is full or the file ends; the number of bytes read."""
    done = 0
    while done < len(view) and (block := file.read(min(BLOCK, len(view) - done))):
        view[done : done + len(block)] = block
        done += len(block)
    return done
