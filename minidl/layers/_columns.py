"""The pixels under a kernel, laid out so that a convolution is matrix products."""

from __future__ import annotations

import numpy as np

from minidl.backend import Array, namespace
from minidl.backend.blas import (
    AS_IS,
    TRANSPOSED,
    Matrices,
    add_products,
    blocks_of,
    by_threads,
    gemm,
)
from minidl.layers._images import batch_first
from minidl.layers._shifts import Shifts
from minidl.layers._windows import Windows

THIN = 16  # channels: products with fewer are too thin to be made for each pixel of the kernel
ONE = np.zeros(1, int)  # pixel: a product has all those of the kernel


class Columns:
    """The matrix X with one column for each place of the kernel in each image, never made whole.

    The places of row r of all images are the matrix X_r (kh·C·kw, across·N).  X_r and
    X_(r+1) have most of their image rows in common.  So the columns of the kernel are laid
    out once for each image row, in ``rows`` (height, C, kw, across, N), and X_r is the view
    rows[stride · r : stride · r + kh]::

        W X:      z_r   = W X_r
        dz Xᵀ:    dW    = Σ_r dz_r X_rᵀ
        Wᵀ dz:    dX_r += Wᵀ dz_r

    Within a pool of threads these share the rows, as in ``_shifts.py``.
    """

    def __init__(self, windows: Windows, x: Array) -> None:
        self.windows, self.x = windows, x  # (N, C, height, width)
        frame = windows.frame(x)  # (C, height, width, N)
        self.down, self.across = windows.places(*frame.shape[1:3])
        C, height, _, N = frame.shape
        shape = (height, C, windows.size[1], self.across, N)
        self.rows = namespace(x).empty(shape, x.dtype)
        for j, column in enumerate(windows.columns(frame)):
            self.rows[:, :, j] = column.swapaxes(0, 1)

    def times(self, W: Array) -> Array:
        """W X for W (C_out, C, kh, kw)  (C_out, places)."""
        z = namespace(W).empty((len(W), self.down, self.across * len(self.x)), W.dtype)
        W = _matrix(W)
        if not by_threads(W):
            for r in range(self.down):
                np.matmul(W, self._under(r, self.rows), out=z[:, r])
        else:
            (rows,) = blocks_of(self.down)
            size = len(W), z.shape[2], W.shape[1]
            X = self._each_under(self.rows)
            add_products(W, size, self.down, rows, _one(W), X, _each(z), beta=0)
        return z.reshape(len(W), -1)

    def gradient(self, dz: Array) -> Array:
        """dz Xᵀ  (C_out, C, kh, kw)."""
        dz = dz.reshape(len(dz), self.down, -1)
        kh, kw = self.windows.size
        K = kh * kw * self.x.shape[1]
        if not by_threads(dz):
            dW = sum(dz[:, r] @ self._under(r, self.rows).T for r in range(self.down))
        else:
            (rows,) = blocks_of(self.down)
            dz = np.ascontiguousarray(dz)  # BLAS is given addresses
            dWs = np.zeros((rows.blocks, len(dz), K), dz.dtype)  # of each block
            XT, out = self._each_under(self.rows, TRANSPOSED), _one(dWs[0])
            out = out._replace(block=dWs[0].nbytes)
            size = len(dz), K, dz.shape[2]
            add_products(dz, size, self.down, rows, _each(dz), XT, out, beta=1)
            dW = dWs.sum(axis=0)
        return dW.reshape(len(dz), kh, -1, kw).swapaxes(1, 2)

    def fold(self, W: Array, dz: Array) -> Array:
        """Wᵀ dz, each entry added to the pixel that it belongs to  (N, C, height, width)."""
        drows = namespace(dz).zeros_like(self.rows)
        dz = dz.reshape(len(dz), self.down, -1)
        W = _matrix(W)
        if not by_threads(dz):
            for r in range(self.down):
                dX_r = self._under(r, drows)
                dX_r += W.T @ dz[:, r]
        else:
            dz = np.ascontiguousarray(dz)
            size, dX = (W.shape[1], dz.shape[2], len(dz)), self._each_under(drows)
            for rows in blocks_of(self.down, apart=self.windows.size[0] - 1):
                WT = _one(W, TRANSPOSED)
                add_products(dz, size, self.down, rows, WT, _each(dz), dX, beta=1)
        dframe = self.windows.zero_frame(self.x)
        for j, dx in enumerate(self.windows.columns(dframe)):
            dx += drows[:, :, j].swapaxes(0, 1)
        return batch_first(self.windows.inside(dframe))

    def _under(self, r: int, rows: Array) -> Array:
        """X_r (kh·C·kw, across·N): what lies under the kernel at row r of its places."""
        start = self.windows.stride[0] * r
        kh, kw = self.windows.size
        return rows[start : start + kh].reshape(kh * rows.shape[1] * kw, -1)

    def _each_under(self, rows: np.ndarray, form: int = AS_IS) -> Matrices:
        """X_r for each row r."""
        step = self.windows.stride[0] * rows.strides[0]
        return Matrices(rows.ctypes.data, self.across * len(self.x), form, step, ONE)


def _matrix(W: Array) -> Array:
    """W (C_out, kh·C·kw), in the order of the rows of X; a copy."""
    return W.swapaxes(1, 2).reshape(len(W), -1)


def _one(W: np.ndarray, form: int = AS_IS) -> Matrices:
    """One matrix, whatever the row."""
    return Matrices(W.ctypes.data, W.shape[1], form, 0, ONE)


def _each(z: np.ndarray) -> Matrices:
    """z_r (C_out, across·N) for each row r of z (C_out, down, across·N)."""
    return Matrices(z.ctypes.data, z[0].size, AS_IS, z.strides[1], ONE)


def lay_out(windows: Windows, x: Array) -> Columns | Shifts:
    """The columns under the kernel in the form that is faster for so many channels."""
    if x.shape[1] >= THIN and gemm(x) is not None:
        return Shifts(windows, x)
    return Columns(windows, x)
