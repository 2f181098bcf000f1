"""The processors of this process, and how many threads BLAS uses.

The number of threads is part of a training run, see :func:`using_threads`.
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
    """A context in which one computation uses ``count`` threads, in BLAS and in loops.

    BLAS may sum in a different order with a different number of threads.  It has one number
    for the whole process, so everything that runs side by side shares it.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(count, user_api="blas"):
        yield
