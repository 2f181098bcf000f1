"""One process at a time writes a file; the next one removes what a killed one left behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minidl.storage.files import remove_parts, try_lock


@contextmanager
def sole_writer(paths: list[Path], say: bool) -> Iterator[None]:
    """Make the folders of ``paths``, wait until no other process writes them, and hold the lock.

    The lock is an operating-system lock on a file ``.NAME.lock`` next to the first path. It
    ends with its process, however that ends; the file stays and has no meaning.
    """
    from filelock import FileLock

    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    beside = paths[0].with_name(f".{paths[0].name}.lock")
    lock = try_lock(beside)
    if lock is None:
        if say:
            print(
                f"waiting for another process that writes {paths[0]}", file=sys.stderr, flush=True
            )
        lock = FileLock(beside)
        lock.acquire()
    try:
        for path in paths:
            remove_parts(path.parent, path.name)
        yield
    finally:
        lock.release()
