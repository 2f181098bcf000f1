"""One thread pool for the loops that Numba compiles and for the products of BLAS.

Two pools get in each other's way: a thread that waits for its next job spins on
a processor that the other pool needs.  OpenBLAS can hand its jobs to a callback instead of its
own threads.  From the first :func:`one_pool` on, the callback runs them on Numba's threads
(OpenMP's); the bits of a product stay the same.  (The callback is never removed: when it was,
while several threads were multiplying, OpenBLAS sometimes waited forever.)

Loops that call BLAS themselves, on each of their threads, need a BLAS that computes on the calling
thread.  NumPy's does not, since it hands the product to the pool; SciPy brings
another copy, which is limited to one thread within :func:`one_pool`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from minidl.fast.compiler import numba
from minidl.kernel import SHARED

# Names in OpenBLAS: NumPy's build has 64-bit sizes, SciPy's 32-bit sizes.
SET_CALLBACK = "scipy_openblas_set_threads_callback_function64_"
PRODUCT = "scipy_cblas_{}gemm"
SET_THREADS = "scipy_openblas_set_num_threads"

_lock = threading.Lock()
_inside = 0  # how many blocks of one_pool are open
_lost = False  # in the child of a fork


def threads() -> int:
    """How many threads a loop may use: 1 outside of :func:`one_pool`."""
    pool = _pool() if _inside else None
    return 1 if pool is None else pool.threads


def shares(entries: int) -> bool:
    """Whether the threads share a loop over so many entries; a shorter one ends before they begin.

    On a busy machine, a thread may wait milliseconds for its turn, and the loop for the thread.
    """
    return entries >= SHARED and threads() > 1


def product(char: str) -> int | None:
    """The address of CBLAS's gemm that stays on the thread; None outside of :func:`one_pool`.

    ``char`` is NumPy's code of the numbers' type; sizes have 32 bits.
    """
    pool = _pool() if _inside else None
    return None if pool is None else pool.addresses[char]


def on_each_thread(function: Any, pointer: Any) -> None:
    """Call a C function with a pointer: on this thread, and on those that compute for it.

    OpenMP keeps the threads of a caller for its next loops.
    """
    pool = _pool() if _inside else None
    if pool is None:
        function(pointer)
    else:
        pool.in_parallel(function, pointer, pool.threads, 0)


@contextmanager
def one_pool() -> Iterator[None]:
    """A context in which compiled loops and BLAS share threads, as many as NumPy's BLAS has now.

    Without Numba, on systems other than Linux, and with builds of BLAS other than those that
    NumPy and SciPy ship, nothing changes: loops run on one thread, BLAS on its own threads.
    """
    global _inside
    with _lock:
        pool = _pool()
        if pool is not None and _inside == 0:
            pool.open()
        _inside += pool is not None
    if pool is None:
        yield
        return
    mask = numba().get_num_threads()
    numba().set_num_threads(pool.threads)  # of this thread's loops
    try:
        yield
    finally:
        numba().set_num_threads(mask)
        with _lock:
            _inside -= 1
            if _inside == 0:
                pool.close()


class Pool:
    """Numba's threads, NumPy's copy of OpenBLAS and SciPy's."""

    def __init__(self, numpys: Any, scipys: Any) -> None:
        self.numpys, self.scipys = numpys, scipys
        self.most = numba().config.NUMBA_NUM_THREADS
        self.threads = 1
        self.addresses = {
            char: ctypes.cast(scipys.dynlib[PRODUCT.format(letter)], ctypes.c_void_p).value
            for char, letter in (("f", "s"), ("d", "d"))
        }
        # threadpoolctl (3.8) silently leaves this to the first thread that sets a limit
        self.set_scipys_threads = scipys.dynlib[SET_THREADS]
        self.set_callback = getattr(numpys.dynlib, SET_CALLBACK)
        self.set_callback.argtypes, self.set_callback.restype = [ctypes.c_void_p], None

    def take_over(self) -> bool:
        """Whether OpenBLAS's jobs now run on Numba's threads, each on its own thread."""
        from minidl.fast import native as machine

        if not machine.IN_PARALLEL:
            return False
        thread_of = np.full(self.most, -1)
        machine.note_threads(thread_of)
        if numba().threading_layer() != "omp" or len(set(thread_of)) < self.most:
            return False
        self.set_callback(machine.run_jobs.address)
        self.in_parallel = machine.in_parallel
        os.register_at_fork(after_in_child=self.forget)
        return True

    def open(self) -> None:
        self.threads = min(self.numpys.num_threads, self.most)
        self.before = self.scipys.num_threads
        self.set_scipys_threads(1)

    def close(self) -> None:
        self.set_scipys_threads(self.before)

    def forget(self) -> None:
        """For the child of a fork: OpenMP's threads are gone, and using them would end it."""
        global _lock, _inside, _lost
        self.set_callback(None)
        if _inside:
            self.close()
        _lock, _inside, _lost = threading.Lock(), 0, True
        _pool.cache_clear()


@cache
def _pool() -> Pool | None:
    """None if a part of it is missing."""
    if _lost or numba() is None or sys.platform != "linux":
        return None
    import scipy.linalg.blas  # noqa: F401  # loads its BLAS
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(internal_api="openblas").lib_controllers
    numpys = [one for one in found if hasattr(one.dynlib, SET_CALLBACK)]
    scipys = [one for one in found if hasattr(one.dynlib, PRODUCT.format("s"))]
    if not (numpys and scipys):
        return None
    pool = Pool(numpys[0], scipys[0])
    return pool if pool.take_over() else None
