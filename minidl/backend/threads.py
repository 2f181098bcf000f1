"""The processors of this process, and work on them in threads.

NumPy computes outside of Python's lock, so threads of one process use several
processors.  How many one training run uses belongs to the run, see :func:`using_threads`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_share: ContextVar[int | None] = ContextVar("share", default=None)


def share() -> int:
    """How many processors the current thread may keep busy: all, unless told otherwise."""
    return _share.get() or processors()


@contextmanager
def share_processors(count: int) -> Iterator[None]:
    """Within it, :func:`split` in this thread uses ``count`` processors."""
    token = _share.set(count)
    try:
        yield
    finally:
        _share.reset(token)


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Within it, one computation uses ``count`` threads, in BLAS as in :func:`split`.

    BLAS may sum in another order where it has another number of threads.  It knows one number
    for the whole process, so whatever runs side by side has the same.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(count, user_api="blas"), share_processors(count):
        yield


def split(work: Callable[[int, int], None], n: int, least: int) -> None:
    """``work(start, stop)`` on equal parts of ``0 … n``, a thread for each processor of the share.

    Parts are not made smaller than ``least``.  It returns when all are done.
    """
    parts = max(1, min(share(), n // least))
    bounds = [n * i // parts for i in range(parts + 1)]
    others = [_pool().submit(work, bounds[i], bounds[i + 1]) for i in range(1, parts)]
    try:
        work(0, bounds[1])
    finally:
        for other in others:
            other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that wait for :func:`split`; made at its first use."""
    return ThreadPoolExecutor(processors(), thread_name_prefix="minidl")


if hasattr(os, "register_at_fork"):  # threads do not outlive a fork; the child makes its own
    os.register_at_fork(after_in_child=_pool.cache_clear)
