"""The convolution within the pool: its threads share the rows of images, and BLAS adds up.

Both classes are twins of :class:`minidl.layers._patches.Patches`; the mathematics is explained
there.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minidl.fast import pool
from minidl.fast.blas import (
    AS_IS,
    TRANSPOSED,
    Matrices,
    gemm_add_by_channel,
    gemm_add_per_row,
    gemm_per_row,
    gemm_sum_rows,
    of_pixels,
    of_rows,
)
from minidl.layers._patches import Patches, as_kernels, as_matrix
from minidl.layers._windows import Windows, batch_first, batch_last

MIN_CHANNELS_FOR_SHIFTS = 16  # with fewer, products per pixel of the kernel are too thin


def patches(x: np.ndarray, windows: Windows) -> Patches | RowIm2col | ShiftedViews:
    """:func:`minidl.layers._patches.patches`, in the form that is faster for so many channels."""
    if not pool.is_open():
        return Patches(windows, x)
    few = x.shape[1] < MIN_CHANNELS_FOR_SHIFTS
    return RowIm2col(windows, x) if few else ShiftedViews(windows, x)


class RowIm2col(Patches):
    """The products of :class:`Patches`, one for each row, on all threads."""

    def times(self, W: np.ndarray) -> np.ndarray:
        P = self.across * len(self.x)
        z = np.empty((len(W), self.down * P), W.dtype)
        W = as_matrix(W)
        size = len(W), P, W.shape[1]
        X, z_r = self._each_row(self.strips), of_rows(z, self.down)
        gemm_per_row(z.dtype, size, self.down, of_pixels(W[None, None]), X, z_r)
        return z

    def gradient(self, dz: np.ndarray) -> np.ndarray:
        (kh, kw), C = self.windows.size, self.x.shape[1]
        K, P = kh * kw * C, self.across * len(self.x)
        dz = np.ascontiguousarray(dz)  # BLAS takes addresses
        dz_r, XT = of_rows(dz, self.down), self._each_row(self.strips, TRANSPOSED)
        shape, size = (1, 1, len(dz), K), (len(dz), K, P)
        dW = gemm_sum_rows(dz.dtype, shape, size, self.down, dz_r, XT)
        return as_kernels(dW[0, 0], self.windows)

    def fold(self, W: np.ndarray, dz: np.ndarray) -> np.ndarray:
        dstrips = np.zeros_like(self.strips)
        W, dz = as_matrix(W), np.ascontiguousarray(dz)
        size = W.shape[1], self.across * len(self.x), len(dz)
        WT, dX = of_pixels(W[None, None], TRANSPOSED), self._each_row(dstrips)
        overlap = self.windows.size[0] - 1
        gemm_add_per_row(dz.dtype, size, self.down, WT, of_rows(dz, self.down), dX, overlap)
        return self.images_of(dstrips)

    def _each_row(self, strips: np.ndarray, form: int = AS_IS) -> Matrices:
        """X_r for each row r; one product covers all pixels of the kernel."""
        step = self.windows.stride[0] * strips.strides[0]
        P = self.across * len(self.x)
        return Matrices(strips.ctypes.data, P, form, step, np.zeros(1, int))


class ShiftedViews:
    """The images as each pixel (i, j) of the kernel sees them, without copying windows.

    X_rij (C, across·N) is what lies under that pixel at the positions of row r, in all images.
    With the batch last in memory, it is a view of the padded images, shifted by i rows and j
    columns.  So the matrix X of all columns need not be formed::

        W X:      z_r     = Σ_ij W_ij X_rij
        dz Xᵀ:    dW_ij   = Σ_r dz_r X_rijᵀ
        Wᵀ dz:    dX_rij += W_ijᵀ dz_r,  all into one array, which also does the folding

    BLAS accumulates the products.  With a stride, a view takes every stride-th column, but
    BLAS needs contiguous columns: so the padded images group the columns by their remainder modulo
    the stride, (C, height, stride, columns, N).  Without padding and stride, the images are
    used as they are.
    """

    def __init__(self, windows: Windows, x: np.ndarray) -> None:
        self.windows, self.shape = windows, x.shape  # (N, C, height, width)
        (height, width), (p, q) = x.shape[2:], windows.padding
        self.down, self.across = windows.positions(height + 2 * p, width + 2 * q)
        self._P = self.across * len(x)  # positions in one row of all images
        images = batch_last(x)  # (C, height, width, N)
        self._is_padded = not any(windows.padding) and windows.stride[1] == 1
        if self._is_padded and images.flags.c_contiguous:
            self.padded = images[:, :, None]
        else:
            self.padded = self._zeros(x.dtype)
            for unpadded, columns in self._columns(self.padded, images):
                unpadded[...] = columns

    def times(self, W: np.ndarray) -> np.ndarray:
        """W X for W (C_out, C, kh, kw)  (C_out, positions)."""
        (O, C), P = W.shape[:2], self._P
        z = np.empty((O, self.down * P), W.dtype)
        W = _by_pixel(W)
        X, z_r = self._under(self.padded), self._at(z)
        gemm_per_row(z.dtype, (O, P, C), self.down, of_pixels(W), X, z_r)
        return z

    def gradient(self, dz: np.ndarray) -> np.ndarray:
        """dz Xᵀ  (C_out, C, kh, kw)."""
        (O, C), P = (len(dz), self.shape[1]), self._P
        dz = np.ascontiguousarray(dz)
        dz_r, XT, shape = self._at(dz), self._under(self.padded, TRANSPOSED), self.windows.size
        if self._has_few_rows(O):
            dW = np.zeros((*shape, O, C), dz.dtype)
            gemm_add_by_channel(dz.dtype, (O, C, P), self.down, dz_r, XT, of_pixels(dW))
        else:
            dW = gemm_sum_rows(dz.dtype, (*shape, O, C), (O, C, P), self.down, dz_r, XT)
        return dW.transpose(2, 3, 0, 1)

    def fold(self, W: np.ndarray, dz: np.ndarray) -> np.ndarray:
        """Wᵀ dz, each entry added to its pixel  (N, C, height, width)."""
        (O, C), P = W.shape[:2], self._P
        W, dz = _by_pixel(W), np.ascontiguousarray(dz)
        dpadded = self._zeros(dz.dtype)
        WT, dX, overlap = of_pixels(W, TRANSPOSED), self._under(dpadded), self.windows.size[0] - 1
        products = dz.dtype, (C, P, O), self.down, WT, self._at(dz), dX
        if self._has_few_rows(C):
            gemm_add_by_channel(*products)
        else:
            gemm_add_per_row(*products, overlap)
        if self._is_padded:
            return batch_first(dpadded[:, :, 0])
        N, _, height, width = self.shape
        dx = np.empty((C, height, width, N), dz.dtype)
        for unpadded, columns in self._columns(dpadded, dx):
            columns[...] = unpadded
        return batch_first(dx)

    def _has_few_rows(self, channels: int) -> bool:
        """Whether not every thread would get a block of rows; then they share the channels."""
        each = max(1, 2 * (self.windows.size[0] - 1))  # rows that overlap, in two turns
        return self.down < pool.threads() * each and channels % pool.threads() == 0

    def _zeros(self, dtype: np.dtype) -> np.ndarray:
        (N, C, height, width), (p, q) = self.shape, self.windows.padding
        step = self.windows.stride[1]
        return np.zeros((C, height + 2 * p, step, -(-(width + 2 * q) // step), N), dtype)

    def _columns(
        self, padded: np.ndarray, x: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each remainder, its columns within the border of ``padded``, and in the images."""
        (p, q), height = self.windows.padding, x.shape[1]
        step = padded.shape[2]
        for k in range(step):
            first = (k - q) % step  # the first column of the images with this remainder
            columns = x[:, :, first::step]
            start = (first + q) // step
            yield padded[:, p : p + height, k, start : start + columns.shape[2]], columns

    def _under(self, padded: np.ndarray, form: int = AS_IS) -> Matrices:
        """X_rij (C, P) for each row r and pixel."""
        _, row, remainder, column, _ = padded.strides
        (kh, kw), (down, across) = self.windows.size, self.windows.stride
        pixels = [
            i * row + j % across * remainder + j // across * column
            for i in range(kh)
            for j in range(kw)
        ]
        return Matrices(padded.ctypes.data, padded[0].size, form, down * row, np.array(pixels))

    def _at(self, z: np.ndarray) -> Matrices:
        """z_r (C_out, P) for each row r, whatever the pixel."""
        return of_rows(z, self.down, math.prod(self.windows.size))


def _by_pixel(W: np.ndarray) -> np.ndarray:
    """W_ij (C_out, C) for each pixel of the kernel, one after the other."""
    return np.ascontiguousarray(W.transpose(2, 3, 0, 1))
