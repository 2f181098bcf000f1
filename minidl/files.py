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
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
        with open(beside, mode, **text) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            beside.unlink()
        raise


def remove_parts(path: Path) -> None:
    """Remove what :func:`whole_file` left beside ``path`` in processes that were killed.

    Only for who knows that nobody is writing it.
    """
    for beside in path.parent.glob(f".{glob.escape(path.name)}.*-*.part"):
        beside.unlink(missing_ok=True)


def fill(view: memoryview, file: IO[bytes]) -> int:
    """Read into ``view`` until it is full or the file ends; the number of bytes read."""
    done = 0
    while done < len(view) and (block := file.read(min(BLOCK, len(view) - done))):
        view[done : done + len(block)] = block
        done += len(block)
    return done
