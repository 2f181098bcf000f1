"""Calls of functions by their address, which machine code can make and Python cannot.

Imported only if Numba is installed, and only when needed.
"""

# mypy: ignore-errors
# Numba compiles these functions from what they do with its own types.

from __future__ import annotations

import ctypes
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.backend.arrays import BLOCK
from minidl.fast.compiler import OPTIONS, cached_njit


@intrinsic
def _call(context, function, arguments):
    """function(*arguments): call what is at that address, with the types of the tuple."""

    def code(context, builder, signature, given):
        values = cgutils.unpack_tuple(builder, given[1])
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
        builder.call(builder.inttoptr(given[0], kind.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(function, arguments), code


@intrinsic
def _number_of(context, function):
    """function(): an integer that it returns."""

    def code(context, builder, signature, given):
        kind = ir.FunctionType(ir.IntType(32), [])
        return builder.call(builder.inttoptr(given[0], kind.as_pointer()), [])

    return types.int32(function), code


@intrinsic
def _pointer(context, address):
    def code(context, builder, signature, given):
        return builder.inttoptr(given[0], cgutils.voidptr_t)

    return types.voidptr(address), code


# -- OpenBLAS's jobs on Numba's threads -------------------------------------------------------


def _address(function: Any) -> int:
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


_libc = ctypes.CDLL(None)
LOCK, UNLOCK = _address(_libc.pthread_mutex_lock), _address(_libc.pthread_mutex_unlock)
try:
    _openmp = ctypes.CDLL("libgomp.so.1")  # the OpenMP of Numba's threads
    in_parallel = _openmp.GOMP_parallel  # (function, pointer, threads, 0)
    in_parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    IN_PARALLEL, THREAD = _address(in_parallel), _address(_openmp.omp_get_thread_num)
except OSError:  # Numba's threads do not use OpenMP, so there is no pool
    IN_PARALLEL = THREAD = 0
_unlocked = ctypes.create_string_buffer(64)  # zeros: PTHREAD_MUTEX_INITIALIZER
_shared = (ctypes.c_uint64 * 4)()
MUTEX, SHARED = ctypes.addressof(_unlocked), ctypes.addressof(_shared)


@numba.cfunc("void(voidptr)")
def run_one_job(given):
    """One of the jobs, by the number of the thread."""
    shared = numba.carray(given, 4, np.uint64)
    i = _number_of(THREAD)
    _call(shared[0], (i, shared[2] + np.uint64(i) * shared[1], np.int32(shared[3])))


RUN_ONE_JOB = run_one_job.address


@numba.cfunc("void(i4, u8, i4, u8, u8, i4)")
def run_jobs(together, job, count, size, data, position):
    """OpenBLAS's callback.

    The jobs wait for each other, so each needs its own thread; and their number identifies
    the memory in which they work, so the jobs of one product finish before those of another.
    OpenMP is called directly: Numba's ``prange`` briefly takes the GIL, which NumPy
    holds during a small product, and its holder may be waiting for this one to end.
    """
    _call(LOCK, (MUTEX,))
    shared = numba.carray(_pointer(SHARED), 4, np.uint64)
    shared[0], shared[1], shared[2], shared[3] = job, size, data, np.uint64(position)
    _call(IN_PARALLEL, (RUN_ONE_JOB, SHARED, np.int32(count), np.int32(0)))
    _call(UNLOCK, (MUTEX,))


@cached_njit(numba.njit, parallel=True, **OPTIONS)
def note_threads(threads):
    """The number of the thread that does each of so many jobs."""
    for i in numba.prange(len(threads)):
        threads[i] = numba.get_thread_id()


# -- products -----------------------------------------------------------------------------------


@numba.njit(**OPTIONS)
def call_gemm(gemm, order, ta, tb, M, N, K, one, A, lda, B, ldb, beta, C, ldc):
    """C ← A B + β C by CBLAS's ``gemm``, for the matrices at these addresses."""
    i = np.int32
    sizes = i(order), i(ta), i(tb), i(M), i(N), i(K)
    _call(gemm, (*sizes, one, A, i(lda), B, i(ldb), beta, C, i(ldc)))


# -- sums ---------------------------------------------------------------------------------------

# Not summed one after the other, but in as many parts as fit in the processor's registers,
# which is faster and more accurate.
_reordered = numba.njit(fastmath={"reassoc", "nsz"}, **OPTIONS)


@_reordered
def _total(a):
    s = a.dtype.type(0)
    for i in range(len(a)):
        s += a[i]
    return s


@_reordered
def _dot(a, b):
    s = a.dtype.type(0)
    for i in range(len(a)):
        s += a[i] * b[i]
    return s


@_reordered
def total(a):
    """Σ a for a row of numbers, block by block: in one go, 3 million equal ones lose 3 digits."""
    s = 0.0
    for i in range(0, len(a), BLOCK):
        s += _total(a[i : i + BLOCK])
    return a.dtype.type(s)


@_reordered
def dot(a, b):
    """Σ a ∘ b for two rows, block by block."""
    s = 0.0
    for i in range(0, len(a), BLOCK):
        s += _dot(a[i : i + BLOCK], b[i : i + BLOCK])
    return a.dtype.type(s)
