"""Files that are whole or not there; reading plain files, and no more than there is room for."""

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

# What whole_file writes beside a file that is to become "name": nobody else calls a file so.
PART = re.compile(r"\.(?P<name>.+)\.minidl-\d+-\d+\.part", re.DOTALL)


class NotAPlainFile(OSError):
    """A folder, a pipe, a device or a socket lies where a file is to be read or written."""


def open_to_read(path: str | os.PathLike[str]) -> IO[bytes]:
    """The bytes of a plain file; whatever else lies there is refused at once.

    A pipe would be waited for and a device may never end, so it is not asked what
    lies at ``path`` but what was opened, without waiting.

    Raises
    ------
    NotAPlainFile
        for a folder, a pipe, a device, a socket.
    OSError
        if it cannot be read, FileNotFoundError where nothing is there.
    """
    ways = ("O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_CLOEXEC")  # as far as the system has them
    try:
        number = os.open(path, os.O_RDONLY | sum(getattr(os, way, 0) for way in ways))
    except OSError as error:
        if os.path.exists(path) and not os.path.isfile(path):
            raise _not_plain(path, os.stat(path).st_mode) from error  # a socket, say
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
    """The whole of a plain file of at most ``largest`` bytes; a larger one is a ValueError."""
    with open_to_read(path) as file:
        contents = file.read(largest + 1)
    if len(contents) > largest:
        raise ValueError(f"{path}: expected at most {largest:,} bytes, got more")
    return contents


def read_json(path: str | os.PathLike[str], what: str, largest: int) -> dict[str, Any]:
    """The object that a JSON file of at most ``largest`` bytes holds.

    Raises
    ------
    ValueError
        if it holds something else: ``what`` says what was expected.
    OSError
        as :func:`open_to_read` has it.
    """
    try:
        found = json.loads(read_bytes(path, largest).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected {what} in JSON, got {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected {what} in JSON, got {type(found).__name__}")
    return found


def own_folder(path: Path) -> Path:
    """``path``, made where it is not there; a link in its place would lead out of its folder.

    Raises
    ------
    NotADirectoryError
        if something else lies there.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        got = "a symbolic link" if path.is_symlink() else "a file"
        raise NotADirectoryError(f"{path}: expected a folder, got {got}; move it away")
    path.mkdir(exist_ok=True)
    return path


def expect_no_folder(path: Path) -> None:
    """Raise ``NotAPlainFile`` where a folder lies in the place of a file that is to be written."""
    if path.is_dir() and not path.is_symlink():  # a link is replaced
        raise NotAPlainFile(f"{path}: expected a place for a file, got a folder; move it away")


@contextmanager
def whole_file(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write that takes its place at ``path`` only once it is complete.

    It is written beside ``path``, flushed to the disk and renamed; after an
    error nothing is left, and a former file at ``path`` is untouched.  ``mode``
    is ``"w"`` (UTF-8 text) or ``"wb"``.

    Raises
    ------
    FileNotFoundError, NotAPlainFile
        if there is no folder for it, or a folder in its place.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it first")
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
    except BaseException:
        with suppress(FileNotFoundError):
            beside.unlink()
        raise


def _flush_folder(path: Path) -> None:
    """Make a renaming in the folder last through a loss of power, where the system can."""
    if os.name == "posix":
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def try_lock(path: Path) -> Any:
    """The lock on the file ``path``, held as long as what is returned; None if another has it.

    It is the system's, and ends with its process, however that ends; the file stays and
    means nothing.

    Raises
    ------
    FileNotFoundError
        if the file cannot be made.
    NotAPlainFile
        where something else than a plain file lies there, a link to one included.
    """
    from filelock import FileLock, Timeout

    with suppress(FileNotFoundError):
        if not stat.S_ISREG(mode := os.lstat(path).st_mode):
            raise _not_plain(path, mode)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not path.exists():  # nobody holds it: such a folder takes no files, and says so oddly
            raise FileNotFoundError(f"{path}: cannot be made") from None
        return None
    return lock


def is_part(name: str) -> bool:
    """Whether a file of that name is one that :func:`whole_file` has not finished."""
    return PART.fullmatch(name) is not None


def remove_parts(folder: Path, name: str | None = None) -> None:
    """Remove what :func:`whole_file` left in ``folder`` in processes that were killed.

    Only for who knows that nobody is writing there, or nobody the file ``name``.
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
