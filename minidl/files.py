"""Files that are whole or not there; reading no more than there is room for."""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

BLOCK = 1 << 20  # bytes read at a time


@contextmanager
def whole_file(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write that takes its place at ``path`` only once it is complete.

    It is written beside ``path``, flushed to the disk and renamed; after an
    error nothing is left, and a former file at ``path`` is untouched.  ``mode``
    is ``"w"`` (UTF-8 text) or ``"wb"``.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it first")
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
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
        where the file cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not path.exists():  # nobody holds it: such a folder takes no files, and says so oddly
            raise FileNotFoundError(f"{path}: cannot be made") from None
        return None
    return lock


def remove_parts(folder: Path, name: str | None = None) -> None:
    """Remove what :func:`whole_file` left in ``folder`` in processes that were killed.

    Only for who knows that nobody is writing there, or nobody the file ``name``.
    """
    pattern = "*" if name is None else glob.escape(name)
    for part in folder.glob(f".{pattern}.*-*.part"):
        part.unlink(missing_ok=True)


def fill(view: memoryview, file: IO[bytes]) -> int:
    """Read into ``view`` until it is full or the file ends; the number of bytes read."""
    done = 0
    while done < len(view) and (block := file.read(min(BLOCK, len(view) - done))):
        view[done : done + len(block)] = block
        done += len(block)
    return done
