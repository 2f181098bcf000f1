"""A convolution as one matrix product per pixel of the kernel, without copying windows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minidl.fast.blas import (
    AS_IS,
    TRANSPOSED,
    Matrices,
    in_each_row,
    of_pixels,
    of_rows,
    onto_each_row,
    over_rows,
)
from minidl.layers._images import batch_first, batch_last
from minidl.layers._windows import Windows


class Shifts:
    """The images as each pixel (i, j) of the kernel sees them.

    X_rij (C, across·N) is what lies under that pixel at the places of row r, in all images.
    With the batch last in memory, it is a view of the padded images, shifted by i rows and j
    columns.  So the matrix X of all columns need not be formed::

        W X:      z_r     = Σ_ij W_ij X_rij
        dz Xᵀ:    dW_ij   = Σ_r dz_r X_rijᵀ
        Wᵀ dz:    dX_rij += W_ijᵀ dz_r,  all into one frame, which also does the folding

    BLAS accumulates the products.  With a stride, a view takes every stride-th column, but
    BLAS needs contiguous columns: so the frame groups the columns by their remainder modulo the
    stride, (C, height, stride, columns, N).  Without padding and stride, the images are
    their own frame.
    """

    def __init__(self, windows: Windows, x: np.ndarray) -> None:
        self.windows, self.shape = windows, x.shape  # (N, C, height, width)
        (height, width), (p, q) = x.shape[2:], windows.padding
        self.down, self.across = windows.places(height + 2 * p, width + 2 * q)
        self._P = self.across * len(x)  # places in one row of all images
        images = batch_last(x)  # (C, height, width, N)
        self._is_frame = not any(windows.padding) and windows.stride[1] == 1
        if self._is_frame and images.flags.c_contiguous:
            self.frame = images[:, :, None]
        else:
            self.frame = self._zeros(x.dtype)
            for inside, columns in self._columns(self.frame, images):
                inside[...] = columns

    def times(self, W: np.ndarray) -> np.ndarray:
        """W X for W (C_out, C, kh, kw)  (C_out, places)."""
        (O, C), P = W.shape[:2], self._P
        z = np.empty((O, self.down * P), W.dtype)
        W = _by_pixel(W)
        in_each_row(W, (O, P, C), self.down, of_pixels(W), self._under(self.frame), self._at(z))
        return z

    def gradient(self, dz: np.ndarray) -> np.ndarray:
        """dz Xᵀ  (C_out, C, kh, kw)."""
        (O, C), P = (len(dz), self.shape[1]), self._P
        dz = np.ascontiguousarray(dz)  # BLAS takes addresses
        XT = self._under(self.frame, TRANSPOSED)
        dW = over_rows(dz, (*self.windows.size, O, C), (O, C, P), self.down, self._at(dz), XT)
        return dW.transpose(2, 3, 0, 1)

    def fold(self, W: np.ndarray, dz: np.ndarray) -> np.ndarray:
        """Wᵀ dz, each entry added to its pixel  (N, C, height, width)."""
        (O, C), P = W.shape[:2], self._P
        W, dz = _by_pixel(W), np.ascontiguousarray(dz)
        dframe = self._zeros(dz.dtype)
        WT, dX, apart = of_pixels(W, TRANSPOSED), self._under(dframe), self.windows.size[0] - 1
        onto_each_row(dz, (C, P, O), self.down, WT, self._at(dz), dX, apart)
        if self._is_frame:
            return batch_first(dframe[:, :, 0])
        N, _, height, width = self.shape
        dx = np.empty((C, height, width, N), dz.dtype)
        for inside, columns in self._columns(dframe, dx):
            columns[...] = inside
        return batch_first(dx)

    def _zeros(self, dtype: np.dtype) -> np.ndarray:
        (N, C, height, width), (p, q) = self.shape, self.windows.padding
        step = self.windows.stride[1]
        return np.zeros((C, height + 2 * p, step, -(-(width + 2 * q) // step), N), dtype)

    def _columns(self, frame: np.ndarray, x: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each remainder, its columns inside the padding of the frame, and in the images."""
        (p, q), height = self.windows.padding, x.shape[1]
        step = frame.shape[2]
        for k in range(step):
            first = (k - q) % step  # the first column of the images with this remainder
            columns = x[:, :, first::step]
            start = (first + q) // step
            yield frame[:, p : p + height, k, start : start + columns.shape[2]], columns

    def _under(self, frame: np.ndarray, form: int = AS_IS) -> Matrices:
        """X_rij (C, P) for each row r and pixel, in a frame."""
        _, row, remainder, column, _ = frame.strides
        (kh, kw), (down, across) = self.windows.size, self.windows.stride
        pixels = [
            i * row + j % across * remainder + j // across * column
            for i in range(kh)
            for j in range(kw)
        ]
        columns = frame[0].size
        return Matrices(frame.ctypes.data, columns, form, down * row, np.array(pixels))

    def _at(self, z: np.ndarray) -> Matrices:
        """z_r (C_out, P) for each row r, whatever the pixel."""
        return of_rows(z, self.down, math.prod(self.windows.size))


def _by_pixel(W: np.ndarray) -> np.ndarray:
    """W_ij (C_out, C) for each pixel of the kernel, one after the other."""
    return np.ascontiguousarray(W.transpose(2, 3, 0, 1))
