"""The pixels under a kernel, arranged so that a convolution is matrix products."""

from __future__ import annotations

import numpy as np

from minidl.backend import Array, namespace
from minidl.fast.blas import (
    AS_IS,
    TRANSPOSED,
    Matrices,
    by_threads,
    gemm,
    in_each_row,
    of_pixels,
    of_rows,
    onto_each_row,
    over_rows,
)
from minidl.layers._images import batch_first
from minidl.layers._shifts import Shifts
from minidl.layers._windows import Windows

THIN = 16  # channels: with fewer, products per pixel of the kernel are too thin


class Columns:
    """The matrix X with one column per place of the kernel in each image, never formed as a whole.

    The places of row r of all images form the matrix X_r (kh·C·kw, across·N).  X_r and
    X_(r+1) have most of their image rows in common.  So the columns of the kernel are copied
    once per image row, into ``rows`` (height, C, kw, across, N), and X_r is the view
    rows[stride · r : stride · r + kh]::

        W X:      z_r   = W X_r
        dz Xᵀ:    dW    = Σ_r dz_r X_rᵀ
        Wᵀ dz:    dX_r += Wᵀ dz_r

    In a thread pool the threads share the rows, as in ``_shifts.py``.
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
        P = self.across * len(self.x)
        z = namespace(W).empty((len(W), self.down * P), W.dtype)
        W = _matrix(W)
        if by_threads(W):
            X = self._each_under(self.rows)
            one, each = of_pixels(W[None, None]), of_rows(z, self.down)
            in_each_row(W, (len(W), P, W.shape[1]), self.down, one, X, each)
        else:
            rows = z.reshape(len(W), self.down, P)
            for r in range(self.down):
                np.matmul(W, self._under(r, self.rows), out=rows[:, r])
        return z

    def gradient(self, dz: Array) -> Array:
        """dz Xᵀ  (C_out, C, kh, kw)."""
        kh, kw = self.windows.size
        K, P = kh * kw * self.x.shape[1], self.across * len(self.x)
        if by_threads(dz):
            dz = np.ascontiguousarray(dz)  # BLAS takes addresses
            shape, XT = (1, 1, len(dz), K), self._each_under(self.rows, TRANSPOSED)
            each = of_rows(dz, self.down)
            dW = over_rows(dz, shape, (len(dz), K, P), self.down, each, XT)
        else:
            dz = dz.reshape(len(dz), self.down, -1)
            dW = sum(dz[:, r] @ self._under(r, self.rows).T for r in range(self.down))
        return dW.reshape(len(dz), kh, -1, kw).swapaxes(1, 2)

    def fold(self, W: Array, dz: Array) -> Array:
        """Wᵀ dz, each entry added to its pixel  (N, C, height, width)."""
        drows = namespace(dz).zeros_like(self.rows)
        W = _matrix(W)
        if by_threads(dz):
            dz = np.ascontiguousarray(dz)
            size = W.shape[1], self.across * len(self.x), len(dz)
            WT, dX = of_pixels(W[None, None], TRANSPOSED), self._each_under(drows)
            apart = self.windows.size[0] - 1
            onto_each_row(dz, size, self.down, WT, of_rows(dz, self.down), dX, apart)
        else:
            dz = dz.reshape(len(dz), self.down, -1)
            for r in range(self.down):
                dX_r = self._under(r, drows)
                dX_r += W.T @ dz[:, r]
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
        """X_r for each row r; one product covers all pixels of the kernel."""
        step = self.windows.stride[0] * rows.strides[0]
        return Matrices(rows.ctypes.data, self.across * len(self.x), form, step, np.zeros(1, int))


def _matrix(W: Array) -> Array:
    """W (C_out, kh·C·kw), in the order of the rows of X; a copy."""
    return W.swapaxes(1, 2).reshape(len(W), -1)


def lay_out(windows: Windows, x: Array) -> Columns | Shifts:
    """The columns under the kernel in the form that is faster for this number of channels."""
    if x.shape[1] >= THIN and gemm(x) is not None:
        return Shifts(windows, x)
    return Columns(windows, x)
