"""Sums of products, C ← A B + β C, by BLAS: what ``matmul`` cannot express.

If products are added up, the sum then costs nothing; ``C += A @ B`` goes through memory
three more times.  Compiled loops call BLAS by its address, with the addresses of matrices.
"""

# mypy: disable-error-code="name-defined"

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from minidl.fast import pool
from minidl.fast.compiler import compiled
from minidl.kernel import chunks

ROW_MAJOR, AS_IS, TRANSPOSED = 101, 111, 112  # CBLAS's own numbers


class Matrices(NamedTuple):
    """Matrices within one array, given by addresses: one for each row of images and pixel."""

    first: int  # address of the first entry of the first
    columns: int  # entries from one row of a matrix to the next
    form: int  # AS_IS or TRANSPOSED
    row: int  # bytes from the matrix of one row of images to that of the next
    pixels: np.ndarray  # bytes from the first to that of each pixel
    block: int = 0  # bytes from those of one block to those of the next


def of_rows(z: np.ndarray, rows: int, pixels: int = 1) -> Matrices:
    """z_r (M, P) for each row r of z (M, rows·P), whatever the pixel."""
    row = z.shape[1] // rows * z.itemsize
    return Matrices(z.ctypes.data, z.shape[1], AS_IS, row, np.zeros(pixels, int))


def of_pixels(W: np.ndarray, form: int = AS_IS) -> Matrices:
    """W_ij (M, N) for each pixel of W (kh, kw, M, N), whatever the row."""
    kh, kw, M, N = W.shape
    return Matrices(W.ctypes.data, N, form, 0, np.arange(kh * kw) * M * N * W.itemsize)


# In what follows ``size`` are the rows and columns of C and the columns of A, and all are of the
# type ``dtype``.  The pool's threads share the rows.


def gemm_per_row(dtype, size, rows, A, B, C):
    """C_r ← Σ_ij A B for each row r."""
    (blocks,) = _blocks(rows)
    _add(dtype, size, rows, blocks, A, B, C, beta=0)


def gemm_add_per_row(dtype, size, rows, A, B, C, overlap):
    """C_rij ← C_rij + A B for each row r and pixel, where those of ``overlap`` rows overlap."""
    for blocks in _blocks(rows, overlap):
        _add(dtype, size, rows, blocks, A, B, C, beta=1)


def gemm_add_by_channel(dtype, size, rows, A, B, C):
    """The same, where the threads share the channels, the rows of A and C, instead."""
    M = size[0] // pool.threads()
    parts = Blocks(pool.threads(), 0, 0, rows)
    A, C = (m._replace(block=M * dtype.itemsize * _next_row(m)) for m in (A, C))
    _add(dtype, (M, *size[1:]), rows, parts, A, B, C, beta=1)


def gemm_sum_rows(dtype, shape, size, rows, A, B):
    """Σ_r A B, an array of ``shape`` (kh, kw, M, N)."""
    (blocks,) = _blocks(rows)
    sums = np.zeros((blocks.blocks, *shape), dtype)  # of each block
    C = of_pixels(sums[0])._replace(block=sums[0].nbytes)
    _add(dtype, size, rows, blocks, A, B, C, beta=1)
    return sums.sum(axis=0)


def _next_row(m):
    """Entries from one row of a matrix to the next."""
    return m.columns if m.form == AS_IS else 1


class Blocks(NamedTuple):
    """Some of the rows of images, in blocks that the threads share; or blocks of channels."""

    blocks: int  # how many
    first: int  # row of the first
    step: int  # rows from one block to the next
    rows: int  # in each


def _blocks(rows: int, overlap: int = 0) -> list[Blocks]:
    """All rows, in as many blocks as there are threads.

    Where results of up to ``overlap`` rows overlap, every second block comes first, and the
    others once those are done.
    """
    turns = 1 if pool.threads() == 1 or not overlap else 2
    n = max(overlap, -(-rows // (turns * pool.threads())))
    firsts = range(0, rows, n)
    return [
        Blocks(len(firsts[i::turns]), firsts[i], turns * n, n)
        for i in range(min(turns, len(firsts)))
    ]


def _add(dtype, size, rows, blocks, A, B, C, beta):
    """C ← A B + C for each row in ``blocks`` and each pixel; at the first pixel C ← A B + β C."""
    run = compiled(_add_products, pool.threads() > 1, call_gemm=_call_gemm())
    number = dtype.type
    run(pool.gemm_address(dtype.char), size, rows, blocks, A, B, C, number(beta), number(1))


def _add_products(gemm, size, rows, blocks, A, B, C, beta, one):
    M, N, K = size
    for block in chunks(blocks.blocks):
        first = blocks.first + block * blocks.step
        for row in range(first, min(first + blocks.rows, rows)):
            a = A.first + row * A.row + block * A.block
            b = B.first + row * B.row
            c = C.first + row * C.row + block * C.block
            for ij in range(len(C.pixels)):
                factor = beta if ij == 0 else one
                a_ij, b_ij, c_ij = a + A.pixels[ij], b + B.pixels[ij], c + C.pixels[ij]
                call_gemm(gemm, ROW_MAJOR, A.form, B.form, M, N, K, one,  # noqa: F821
                          a_ij, A.columns, b_ij, B.columns, factor, c_ij, C.columns)  # fmt: skip


@cache
def _call_gemm() -> Callable[..., None]:
    from minidl.fast.native import call_gemm

    return call_gemm
