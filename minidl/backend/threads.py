"""The processors of this process, and how many threads BLAS uses.

How many one training run uses belongs to the run, see :func:`using_threads`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Within it, one computation uses ``count`` threads, in BLAS and in loops.

    BLAS may sum in another order where it has another number of threads.  It knows one number
    for the whole process, so whatever runs side by side has the same.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(count, user_api="blas"):
        yield
