"""Products by Intel's MKL, if its package is installed: ``pip install 'minidl[mkl]'``.

On processors of Intel it is faster than OpenBLAS; on others it may be slower, and the variable
``MINIDL_MKL=0`` keeps it out.  It computes on the threads (OpenMP's) of the loops that Numba
compiles, or, within such a loop, on the thread that calls it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np

from minidl.backend.arrays import address

ROW_MAJOR, AS_IS, TRANSPOSED = 101, 111, 112  # CBLAS's own numbers
GNU_THREADS = 3
LETTERS = {"f": ("s", ctypes.c_float), "d": ("d", ctypes.c_double)}
LEAST = 2**18  # multiplications: with fewer, the call costs more than it gains


@cache
def library() -> Any:
    """The library; None where it is not installed, or kept out."""
    if sys.platform != "linux" or os.environ.get("MINIDL_MKL") == "0":
        return None
    try:
        files = metadata.files("mkl") or []
    except metadata.PackageNotFoundError:
        return None
    found = [file for file in files if file.name.startswith("libmkl_rt.so")]
    if not found:
        return None
    ctypes.CDLL("libgomp.so.1", mode=ctypes.RTLD_GLOBAL)  # Numba's OpenMP, for MKL to find
    mkl = ctypes.CDLL(str(found[0].locate()))
    if mkl.MKL_Set_Threading_Layer(GNU_THREADS) != GNU_THREADS:
        return None
    return mkl


def version() -> str:
    """``"mkl 2026.2.1"``."""
    return f"mkl {metadata.version('mkl')}"


def gemm_addresses() -> dict[str, int | None]:
    """The addresses of CBLAS's product, by NumPy's type codes."""
    return {
        char: ctypes.cast(library()[f"cblas_{letter}gemm"], ctypes.c_void_p).value
        for char, (letter, _) in LETTERS.items()
    }


@cache
def _gemm(char: str) -> Any:
    letter, real = LETTERS[char]
    gemm = library()[f"cblas_{letter}gemm"]
    number, matrix = ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]
    gemm.argtypes, gemm.restype = [number] * 6 + [real, *matrix, *matrix, real, *matrix], None
    return gemm


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """a b for two matrices, each contiguous or the transpose of such."""
    (M, K), N = a.shape, b.shape[1]
    forms = _form(a), _form(b)
    if None in forms or a.dtype != b.dtype or M * N * K < LEAST:
        return np.dot(a, b, out=out)
    if out is None:
        out = np.empty((M, N), a.dtype)
    (form_a, columns_a), (form_b, columns_b) = forms  # type: ignore[misc]
    sizes = ROW_MAJOR, form_a, form_b, M, N, K
    factors = (address(a), columns_a), (address(b), columns_b)
    _gemm(a.dtype.char)(*sizes, 1, *factors[0], *factors[1], 0, address(out), N)
    return out


def _form(a: np.ndarray) -> tuple[int, int] | None:
    """How CBLAS is told of ``a``: its form, and entries from one row in memory to the next."""
    if a.flags.c_contiguous:
        return AS_IS, a.shape[1]
    return (TRANSPOSED, a.shape[0]) if a.flags.f_contiguous else None
