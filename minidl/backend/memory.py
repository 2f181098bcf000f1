"""How much memory this process can have at all."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from functools import cache
from pathlib import Path


def physical_memory() -> int | None:
    """The memory of this machine in bytes; None where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


@cache
def memory_limit() -> int | None:
    """The smaller of the machine's memory and what its control group (a container) may take."""
    known = [physical_memory(), *map(_limit, _control_groups(Path("/")))]
    return min((size for size in known if size), default=None)


def release() -> None:
    """Give freed memory back to the system: glibc keeps it for this process."""
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _control_groups(root: Path) -> list[Path]:
    """The files with the limits of this process's control group and of those around it."""
    groups = root / "sys/fs/cgroup"
    place = groups
    with suppress(OSError):
        place /= (root / "proc/self/cgroup").read_text().partition("0::/")[2].partition("\n")[0]
    around = [folder for folder in (place, *place.parents) if folder.is_relative_to(groups)]
    return [
        groups / "memory/memory.limit_in_bytes",  # version 1, as a container sees it
        *(folder / "memory.max" for folder in around),
    ]


def _limit(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # not there, or "max"
        return None
