"""OpenBLAS's jobs on Numba's threads: installed once, by the first training in a process.

OpenBLAS can hand its jobs to a callback instead of its own threads.  The bits of a product stay
the same.  (The callback is never removed: when it was, while several threads were multiplying,
OpenBLAS sometimes waited forever.)
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.fast import mkl
from minidl.fast.compiler import numba

# Names in OpenBLAS: NumPy's build has 64-bit sizes, SciPy's 32-bit sizes.
SET_CALLBACK = "scipy_openblas_set_threads_callback_function64_"
PRODUCT = "scipy_cblas_{}gemm"
SET_THREADS = "scipy_openblas_set_num_threads"


@dataclass(frozen=True)
class Libraries:
    """NumPy's copy of OpenBLAS and SciPy's, and OpenMP."""

    numpy_blas: Any  # of threadpoolctl
    scipy_blas: Any
    max_threads: int  # Numba's
    set_callback: Callable[[Any], None]
    set_scipy_threads: Callable[[int], None]
    gemm_addresses: dict[
        str, int | None
    ]  # CBLAS's product on the calling thread, by NumPy's type codes
    in_parallel: Any  # GOMP_parallel


def install_callback() -> Libraries | None:
    """Let OpenBLAS's jobs run on Numba's threads, each on its own; None if that cannot be."""
    import scipy.linalg.blas  # noqa: F401  # loads its BLAS
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(internal_api="openblas").lib_controllers
    numpy_blas = next((one for one in found if hasattr(one.dynlib, SET_CALLBACK)), None)
    scipy_blas = next((one for one in found if hasattr(one.dynlib, PRODUCT.format("s"))), None)
    if numpy_blas is None or scipy_blas is None:
        return None
    from minidl.fast import native

    max_threads = numba().config.NUMBA_NUM_THREADS
    if not native.IN_PARALLEL or not _has_threads(native.note_threads, max_threads):
        return None
    set_callback = getattr(numpy_blas.dynlib, SET_CALLBACK)
    set_callback.argtypes, set_callback.restype = [ctypes.c_void_p], None
    set_callback(native.run_jobs.address)
    return Libraries(
        numpy_blas,
        scipy_blas,
        max_threads,
        set_callback,
        # threadpoolctl (3.8) silently leaves this to the first thread that sets a limit
        scipy_blas.dynlib[SET_THREADS],
        _gemm_addresses(scipy_blas) if mkl.library() is None else mkl.gemm_addresses(),
        native.in_parallel,
    )


def _gemm_addresses(blas: Any) -> dict[str, int | None]:
    return {
        char: ctypes.cast(blas.dynlib[PRODUCT.format(letter)], ctypes.c_void_p).value
        for char, letter in (("f", "s"), ("d", "d"))
    }


def _has_threads(note_threads: Callable[[np.ndarray], None], count: int) -> bool:
    """Whether OpenMP gives ``count`` jobs a thread each."""
    thread_of = np.full(count, -1)
    note_threads(thread_of)
    return numba().threading_layer() == "omp" and len(set(thread_of)) == count
