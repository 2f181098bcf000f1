"""Sums of products, C ← A B + β C, by BLAS: what ``matmul`` cannot express.

If products are added up, the sum then costs nothing; ``C += A @ B`` goes through memory
three more times.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from minidl.fast import pool
from minidl.fast.compiler import compiled, numba

ROW_MAJOR, AS_IS, TRANSPOSED = 101, 111, 112  # CBLAS's own numbers
# A product in OpenBLAS as NumPy ships it, and as others build it, with the type of its sizes.
NAMES = {
    "scipy_cblas_{}gemm64_": ctypes.c_int64,
    "cblas_{}gemm64_": ctypes.c_int64,
    "cblas_{}gemm": ctypes.c_int32,
}
LETTERS = {"f": ("s", ctypes.c_float), "d": ("d", ctypes.c_double)}


class Matrices(NamedTuple):
    """Matrices within one array, given by addresses: one for each row of images and pixel."""

    first: int  # address of the first entry of the first
    columns: int  # entries from one row of a matrix to the next
    form: int  # AS_IS or TRANSPOSED
    row: int  # bytes from the matrix of one row of images to that of the next
    pixels: np.ndarray  # bytes from the first to that of each pixel
    block: int = 0  # bytes from those of one block of rows to those of the next


def of_rows(z: np.ndarray, rows: int, pixels: int = 1) -> Matrices:
    """z_r (M, P) for each row r of z (M, rows·P), whatever the pixel."""
    row = z.shape[1] // rows * z.itemsize
    return Matrices(z.ctypes.data, z.shape[1], AS_IS, row, np.zeros(pixels, int))


def of_pixels(W: np.ndarray, form: int = AS_IS) -> Matrices:
    """W_ij (M, N) for each pixel of W (kh, kw, M, N), whatever the row."""
    kh, kw, M, N = W.shape
    return Matrices(W.ctypes.data, N, form, 0, np.arange(kh * kw) * M * N * W.itemsize)


# In what follows ``size`` are the rows and columns of C and the columns of A, and all are of the
# type of the array ``like``.  The pool's threads share the rows.


def in_each_row(like, size, rows, A, B, C):
    """C_r ← Σ_ij A B for each row r."""
    (blocks,) = _blocks(rows)
    _add(like, size, rows, blocks, A, B, C, beta=0)


def onto_each_row(like, size, rows, A, B, C, apart):
    """C_rij ← C_rij + A B for each row r and pixel, where those of ``apart`` rows overlap."""
    for blocks in _blocks(rows, apart):
        _add(like, size, rows, blocks, A, B, C, beta=1)


def over_rows(like, shape, size, rows, A, B):
    """Σ_r A B, an array of ``shape`` (kh, kw, M, N)."""
    (blocks,) = _blocks(rows)
    sums = np.zeros((blocks.blocks, *shape), like.dtype)  # of each block
    C = of_pixels(sums[0])._replace(block=sums[0].nbytes)
    _add(like, size, rows, blocks, A, B, C, beta=1)
    return sums.sum(axis=0)


class Blocks(NamedTuple):
    """Some of the rows of images, in blocks that the threads share."""

    blocks: int  # how many
    first: int  # row of the first
    step: int  # rows from one block to the next
    rows: int  # in each


def _blocks(rows: int, apart: int = 0) -> list[Blocks]:
    """All rows, in as many blocks as there are threads.

    Where results of up to ``apart`` rows overlap, every second block comes first, and the
    others once those are done.
    """
    turns = 1 if pool.threads() == 1 or not apart else 2
    n = max(apart, -(-rows // (turns * pool.threads())))
    firsts = range(0, rows, n)
    return [
        Blocks(len(firsts[i::turns]), firsts[i], turns * n, n)
        for i in range(min(turns, len(firsts)))
    ]


def _add(like, size, rows, blocks, A, B, C, beta):
    """C ← A B + C for each row in ``blocks`` and each pixel; at the first pixel C ← A B + β C."""
    address = pool.product(like.dtype.char)
    if address is None:
        A, B, C = (one._replace(pixels=one.pixels.tolist()) for one in (A, B, C))
        _add_products(gemm(like), size, rows, blocks, A, B, C, beta, 1)
    else:
        number, run = like.dtype.type, _compiled(pool.threads() > 1)
        run(address, size, rows, blocks, A, B, C, number(beta), number(1))


def _add_products(gemm, size, rows, blocks, A, B, C, beta, one):
    M, N, K = size
    for block in pieces(blocks.blocks):
        first = blocks.first + block * blocks.step
        for row in range(first, min(first + blocks.rows, rows)):
            a = A.first + row * A.row
            b = B.first + row * B.row
            c = C.first + row * C.row + block * C.block
            for ij in range(len(C.pixels)):
                factor = beta if ij == 0 else one
                a_ij, b_ij, c_ij = a + A.pixels[ij], b + B.pixels[ij], c + C.pixels[ij]
                multiply(gemm, A.form, B.form, M, N, K, one,
                         a_ij, A.columns, b_ij, B.columns, factor, c_ij, C.columns)  # fmt: skip


def multiply(gemm, form_a, form_b, M, N, K, one, a, lda, b, ldb, beta, c, ldc):
    """c ← a b + β c by CBLAS's ``gemm``, for the matrices at these addresses."""
    gemm(ROW_MAJOR, form_a, form_b, M, N, K, one, a, lda, b, ldb, beta, c, ldc)


pieces = range


@cache
def _compiled(parallel: bool) -> Callable[..., None]:
    from minidl.fast.native import multiply

    loop = numba().prange if parallel else range
    return compiled(_add_products, parallel, pieces=loop, multiply=multiply)


def by_threads(array: Any) -> bool:
    """Whether the pool's threads multiply such arrays, each by itself."""
    return type(array) is np.ndarray and pool.product(array.dtype.char) is not None


def gemm(array: Any) -> Any:
    """CBLAS's ``gemm`` for arrays of that type; None for CuPy's, and where there is no OpenBLAS."""
    return _gemm(array.dtype.char) if type(array) is np.ndarray else None


@cache
def _gemm(char: str) -> Callable[..., None] | None:
    from threadpoolctl import threadpool_info

    letter, real = LETTERS[char]
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
