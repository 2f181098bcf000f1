"""The processors of this process, and how many threads BLAS uses.

The number of threads is part of a training run, see :func:`using_threads`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minidl.backend import checks
from minidl.backend.arrays import Device


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def side_by_side(device: Device, threads: int) -> int:
    """How many training runs of so many threads to compute at a time: one on a GPU."""
    return 1 if device.is_cuda else max(1, min(2, processors() // threads))


_lock = threading.Lock()
_in_use: dict[object, tuple[int, int]] = {}  # thread and count of each context, in their order
_first: list[Any] = []  # the limits that the first one has set, with those from before


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """A context in which one computation uses ``count`` threads, in BLAS and in loops.

    BLAS may sum in a different order with a different number of threads.  It has one number
    for the whole process, so everything that runs side by side shares it; the last context that
    ends restores the number from before the first.

    Raises
    ------
    ValueError
        if a computation in another Python thread uses another number, or for fewer than one.
    """
    count = checks.integer("using_threads", "count", count)  # BLAS takes 0 for all
    this, entry = threading.get_ident(), object()
    with _lock:
        for thread, other in _in_use.values():
            if thread != this and other != count:
                raise ValueError(
                    f"expected {other} BLAS thread(s), as for a computation that is running in "
                    f"this process, got {count}; BLAS has one number for the whole process: use "
                    "the same number, or run one after the other"
                )
        limits = _limit(count)
        if not _in_use:
            _first.append(limits)
        _in_use[entry] = this, count
    try:
        yield
    finally:
        with _lock:
            del _in_use[entry]
            if _in_use:
                _limit([count for _, count in _in_use.values()][-1])
            else:
                _take_control()
                _first.pop().restore_original_limits()


def _limit(count: int) -> Any:
    from threadpoolctl import threadpool_limits

    _take_control()
    return threadpool_limits(count, user_api="blas")


def _take_control() -> None:
    """Let this Python thread set the number: threadpoolctl (3.8) obeys only the first that did.

    It ignores the others in silence; here, they take turns under a lock.
    """
    import threadpoolctl

    kind: Any = getattr(threadpoolctl, "OpenBLASController", None)
    if hasattr(kind, "clear_controlling_thread"):
        kind.clear_controlling_thread(force=True)
