"""What Python cannot say and machine code can: calls of functions by their address.

Imported where Numba is installed, and only once it is needed.
"""

# mypy: ignore-errors
# Numba compiles these functions from what they do with types of its own.

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.backend.blas import ROW_MAJOR
from minidl.backend.compiler import OPTIONS, kept


@intrinsic
def _call(context, function, arguments):
    """function(*arguments): what lies at that address, with the types of the tuple."""

    def code(context, builder, signature, given):
        values = cgutils.unpack_tuple(builder, given[1])
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.inttoptr(given[0], kind.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(function, arguments), code


# -- OpenBLAS's jobs on Numba's threads -------------------------------------------------------

JOB = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_uint64, ctypes.c_int32)
ALL_JOBS = ctypes.CFUNCTYPE(
    None, ctypes.c_uint64, ctypes.c_int32, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_int32
)


@ALL_JOBS
def _do_all_in_new_threads(job: int, count: int, size: int, data: int, position: int) -> None:
    """For more jobs than Numba has threads, where somebody has set that many for BLAS."""
    do = JOB(job)
    threads = [
        threading.Thread(target=do, args=(i, data + i * size, position)) for i in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _address(function: Any) -> int:
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


_libc = ctypes.CDLL(None)
LOCK, UNLOCK = _address(_libc.pthread_mutex_lock), _address(_libc.pthread_mutex_unlock)
_unlocked = ctypes.create_string_buffer(64)  # zeros: PTHREAD_MUTEX_INITIALIZER
MUTEX = ctypes.addressof(_unlocked)
IN_NEW_THREADS = _address(_do_all_in_new_threads)
MOST = numba.config.NUMBA_NUM_THREADS


@kept(numba.njit, parallel=True, **OPTIONS)
def _do_all(job, count, size, data, position):
    for i in numba.prange(count):
        _call(job, (np.int32(i), data + np.uint64(i) * size, position))


@numba.cfunc("void(i4, u8, i4, u8, u8, i4)")
def run_jobs(together, job, count, size, data, position):
    """OpenBLAS's callback.

    The jobs wait for each other, so each needs a thread of its own; and their number is that of
    the memory that they work in, so the jobs of one product are done before those of another.
    """
    _call(LOCK, (MUTEX,))
    if count > MOST:
        _call(IN_NEW_THREADS, (job, count, size, data, position))
    else:
        mask = numba.get_num_threads()
        numba.set_num_threads(count)
        _do_all(job, count, size, data, position)
        numba.set_num_threads(mask)
    _call(UNLOCK, (MUTEX,))


@kept(numba.njit, parallel=True, **OPTIONS)
def note_threads(threads):
    """The number of the thread that does each of so many jobs."""
    for i in numba.prange(len(threads)):
        threads[i] = numba.get_thread_id()


# -- products -----------------------------------------------------------------------------------


@numba.njit(**OPTIONS)
def multiply(gemm, ta, tb, M, N, K, one, A, lda, B, ldb, beta, C, ldc):
    """:func:`minidl.backend.blas.multiply` in machine code; ``gemm`` is an address."""
    i = np.int32
    sizes = i(ROW_MAJOR), i(ta), i(tb), i(M), i(N), i(K)
    _call(gemm, (*sizes, one, A, i(lda), B, i(ldb), beta, C, i(ldc)))


# -- sums ---------------------------------------------------------------------------------------

# In another order than one after the other: in as many parts as fit the processor's registers,
# which is faster, and more precise.
_reordered = numba.njit(fastmath={"reassoc", "nsz"}, **OPTIONS)


@_reordered
def total(a):
    """Σ a for a row of numbers."""
    s = a.dtype.type(0)
    for i in range(len(a)):
        s += a[i]
    return s


@_reordered
def dot(a, b):
    """Σ a ∘ b for two rows."""
    s = a.dtype.type(0)
    for i in range(len(a)):
        s += a[i] * b[i]
    return s
