"""The context of training: one pool of threads, and denormal numbers as zeros on all of them.

Two pools get in each other's way: a thread that waits for its next job spins on
a processor that the other pool needs.  So from the first :func:`one_pool` on, OpenBLAS's jobs run
on the threads (OpenMP's) of the loops that Numba compiles: see ``callback.py``.

Loops that call BLAS themselves, on each of their threads, need a BLAS that computes on the calling
thread.  NumPy's does not, since it hands the product to the pool; SciPy brings
another copy, which is limited to one thread within :func:`one_pool`.

The moments of a weight whose gradient is 0 decay, m ← β₁ m, down to the denormal numbers
(below 1.2e-38 in float32), and stay there: β₁ times the least of them, 1.4e-45, is rounded to
itself.  Intel's processors take many times longer for each of them (27 times for a product),
and a network with dead units or vanishing gradients is full of them.  Nothing that is learned
depends on them: ε in √v + ε is 1e-7 or 1e-8.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from minidl.fast import mkl
from minidl.fast.compiler import numba
from minidl.kernel import SHARED



class _Here(threading.local):
    depth = 0  # how many blocks of one_pool this thread has opened


_lock = threading.Lock()
_depth = 0  # how many are open in all
_here = _Here()
_forked = False  # in the child of a fork


@contextmanager
def full_speed() -> Iterator[None]:
    """The context of training, see :func:`minidl.kernel.at_full_speed`."""
    with one_pool(), denormals_as_zero():
        yield


# -- threads ----------------------------------------------------------------------------------


def is_open() -> bool:
    """Whether this thread is within :func:`one_pool`, and there is a pool.

    What is computed must not depend on whether another network is being trained meanwhile.
    """
    return _here.depth > 0


def threads() -> int:
    """How many threads a loop may use: 1 outside of :func:`one_pool`."""
    pool = _pool() if is_open() else None
    return 1 if pool is None else pool.threads


def shares(entries: int) -> bool:
    """Whether the threads share a loop over so many entries; a shorter one ends before they begin.

    On a busy machine, a thread may wait milliseconds for its turn, and the loop for the thread.
    """
    return entries >= SHARED and threads() > 1


def gemm_address(char: str) -> int | None:
    """The address of CBLAS's gemm that stays on the thread within :func:`one_pool`.

    ``char`` is NumPy's code of the numbers' type; sizes have 32 bits.
    """
    pool = _pool()
    return None if pool is None else pool.blas.gemm_addresses[char]


@contextmanager
def one_pool() -> Iterator[None]:
    """A context in which compiled loops and BLAS share threads, as many as NumPy's BLAS has now.

    Without Numba, on systems other than Linux, and with builds of BLAS other than those that
    NumPy and SciPy ship, nothing changes: loops run on one thread, BLAS on its own threads.
    """
    global _depth
    with _lock:
        pool = _pool()
        if pool is not None and _depth == 0:
            pool.open()
        _depth += pool is not None
        _here.depth += pool is not None
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
            _depth -= 1
            _here.depth -= 1
            if _depth == 0:
                pool.close()


class Pool:
    """Numba's threads, for its loops and for the jobs of NumPy's BLAS."""

    def __init__(self, blas: Any) -> None:
        self.blas = blas  # callback.Libraries
        self.threads = 1

    def open(self) -> None:
        self.threads = min(self.blas.numpy_blas.num_threads, self.blas.max_threads)
        self.before = self.blas.scipy_blas.num_threads
        self.blas.set_scipy_threads(1)
        if mkl.library() is not None:
            mkl.library().MKL_Set_Num_Threads(self.threads)

    def close(self) -> None:
        self.blas.set_scipy_threads(self.before)

    def after_fork(self) -> None:
        """For the child of a fork: OpenMP's threads are gone, and using them would end it."""
        global _lock, _depth, _here, _forked
        self.blas.set_callback(None)
        if _depth:
            self.close()
        _lock, _depth, _here, _forked = threading.Lock(), 0, _Here(), True
        _pool.cache_clear()


@cache
def _pool() -> Pool | None:
    """None if a part of it is missing."""
    if _forked or numba() is None or sys.platform != "linux":
        return None
    from minidl.fast.callback import install_callback

    found = install_callback()
    if found is None:
        return None
    pool = Pool(found)
    os.register_at_fork(after_in_child=pool.after_fork)
    return pool


# -- denormal numbers -------------------------------------------------------------------------

Environment = ctypes.c_uint32 * 8  # glibc's fenv_t on x86-64; the last entry is MXCSR
MXCSR = 7
DEFAULT = 0x1F80  # of MXCSR, the flags of what has happened apart
FLAGS = 0x003F
FLUSH = 0x8040  # results that are denormal become 0 (FTZ), and operands are taken as 0 (DAZ)


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """A context in which this thread, and the pool's threads for it, take denormals as zeros.

    Where the processor's mode cannot be set (by glibc on x86-64) nothing changes.
    """
    libm = _libm()
    if libm is None:
        yield
        return
    before = Environment()
    libm.fegetenv(ctypes.byref(before))
    within = Environment(*before)
    within[MXCSR] |= FLUSH
    _on_each_thread(libm.fesetenv, ctypes.byref(within))
    try:
        yield
    finally:
        _on_each_thread(libm.fesetenv, ctypes.byref(before))


def _on_each_thread(function: Any, pointer: Any) -> None:
    """Call a C function with a pointer: on this thread, and on those that compute for it.

    OpenMP keeps the threads of a caller for its next loops.
    """
    pool = _pool() if is_open() else None
    if pool is None:
        function(pointer)
    else:
        pool.blas.in_parallel(function, pointer, pool.threads, 0)


@cache
def _libm() -> Any:
    """The library that sets the mode of a thread; None where it is not known how."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None
    try:
        libm = ctypes.CDLL("libm.so.6")
    except OSError:
        return None
    found = Environment()
    libm.fegetenv(ctypes.byref(found))
    return libm if found[MXCSR] & ~(FLAGS | FLUSH) == DEFAULT else None
