"""C ← A B + β C by the BLAS that NumPy itself calls: the one thing that ``matmul`` cannot say.

Where products are added up, the sum then costs nothing; ``C += A @ B`` goes through memory
three times more.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

ROW_MAJOR, AS_IS, TRANSPOSED = 101, 111, 112  # CBLAS's own numbers
# A product in OpenBLAS as NumPy ships it, and as others build it, with the type of its sizes.
NAMES = {
    "scipy_cblas_{}gemm64_": ctypes.c_int64,
    "cblas_{}gemm64_": ctypes.c_int64,
    "cblas_{}gemm": ctypes.c_int32,
}


def gemm(array: Any) -> Any:
    """CBLAS's ``gemm`` for arrays of that type; None for CuPy's, and where there is no OpenBLAS.

    ``gemm(ROW_MAJOR, transpose A, transpose B, M, N, K, α, A, lda, B, ldb, β, C, ldc)`` makes
    C (M, N) into α A B + β C.  Arrays are given by the address of their first entry and by
    the entries from one row to the next.
    """
    return _gemm(array.dtype.char) if type(array) is np.ndarray else None


@cache
def _gemm(char: str) -> Callable[..., None] | None:
    from threadpoolctl import threadpool_info

    letter, real = {"f": ("s", ctypes.c_float), "d": ("d", ctypes.c_double)}[char]
    loaded = [m["filepath"] for m in threadpool_info() if m["internal_api"] == "openblas"]
    for path in [path for path in loaded if "numpy" in path]:  # SciPy has one of its own
        for name, size in NAMES.items():
            with suppress(OSError, AttributeError):
                function = getattr(ctypes.CDLL(path), name.format(letter))
                matrix = [ctypes.c_void_p, size]
                sizes = [ctypes.c_int] * 3 + [size] * 3
                function.argtypes = [*sizes, real, *matrix, *matrix, real, *matrix]
                function.restype = None
                return function
    return None
