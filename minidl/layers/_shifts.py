"""A convolution as one matrix product for each pixel of the kernel, with nothing laid out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minidl.backend.blas import AS_IS, ROW_MAJOR, TRANSPOSED, gemm
from minidl.layers._images import batch_first, batch_last
from minidl.layers._windows import Windows


class Shifts:
    """The images as each pixel (i, j) of the kernel sees them.

    X_rij (C, across·N) is what lies under that pixel at the places of row r, in all images.
    With the batch last in memory it is a view of the images in their border, i rows and j
    columns further.  So the matrix X of all columns need not be made::

        W X:      z_r     = Σ_ij W_ij X_rij
        dz Xᵀ:    dW_ij   = Σ_r dz_r X_rijᵀ
        Wᵀ dz:    dX_rij += W_ijᵀ dz_r,  all into one frame, which is the folding, too

    BLAS adds up what it multiplies.  With a stride, a view takes every stride-th column, and
    BLAS wants them side by side: the frame has the columns by their remainder modulo the
    stride, (C, height, stride, columns, N).
    """

    def __init__(self, windows: Windows, x: np.ndarray) -> None:
        self.windows, self.shape = windows, x.shape  # (N, C, height, width)
        (height, width), (p, q) = x.shape[2:], windows.padding
        self.down, self.across = windows.places(height + 2 * p, width + 2 * q)
        self._gemm = gemm(x)
        self.frame = self._zeros(x.dtype)
        for inside, columns in self._columns(self.frame, batch_last(x)):
            inside[...] = columns

    def times(self, W: np.ndarray) -> np.ndarray:
        """W X for W (C_out, C, kh, kw)  (C_out, places)."""
        z = np.empty((len(W), self.down, self.across * self.shape[0]), W.dtype)
        W, product, (O, C) = _by_pixel(W), self._gemm, W.shape[:2]
        size, P, ldz = z.itemsize, z.shape[2], z[0].size
        for ij, z_r, X in self._views(z, self.frame):
            beta = 0.0 if ij == 0 else 1.0
            W_ij = W.ctypes.data + ij * O * C * size
            product(ROW_MAJOR, AS_IS, AS_IS, O, P, C, 1, W_ij, C, X, self._ld, beta, z_r, ldz)
        return z.reshape(O, -1)

    def gradient(self, dz: np.ndarray) -> np.ndarray:
        """dz Xᵀ  (C_out, C, kh, kw)."""
        kh, kw = self.windows.size
        O, C = len(dz), self.shape[1]
        dz = np.ascontiguousarray(dz)  # BLAS is given addresses
        dW = np.zeros((kh, kw, O, C), dz.dtype)
        product, size, P = self._gemm, dz.itemsize, self.across * self.shape[0]
        dW_0, ldz = dW.ctypes.data, dz.shape[1]
        for ij, dz_r, X in self._views(dz.reshape(O, self.down, -1), self.frame):
            dW_ij = dW_0 + ij * O * C * size
            product(ROW_MAJOR, AS_IS, TRANSPOSED, O, C, P, 1, dz_r, ldz, X, self._ld, 1, dW_ij, C)
        return dW.transpose(2, 3, 0, 1)

    def fold(self, W: np.ndarray, dz: np.ndarray) -> np.ndarray:
        """Wᵀ dz, each entry added to the pixel that it belongs to  (N, C, height, width)."""
        dz = np.ascontiguousarray(dz)
        dframe = self._zeros(dz.dtype)
        W, product, (O, C) = _by_pixel(W), self._gemm, W.shape[:2]
        size, P, ldz = dz.itemsize, self.across * self.shape[0], dz.shape[1]
        for ij, dz_r, dX in self._views(dz.reshape(O, self.down, -1), dframe):
            W_ij = W.ctypes.data + ij * O * C * size
            product(ROW_MAJOR, TRANSPOSED, AS_IS, C, P, O, 1, W_ij, C, dz_r, ldz, 1, dX, self._ld)
        N, _, height, width = self.shape
        dx = np.empty((C, height, width, N), dz.dtype)
        for inside, columns in self._columns(dframe, dx):
            columns[...] = inside
        return batch_first(dx)

    def _zeros(self, dtype: np.dtype) -> np.ndarray:
        (N, C, height, width), (p, q) = self.shape, self.windows.padding
        step = self.windows.stride[1]
        frame = np.zeros((C, height + 2 * p, step, -(-(width + 2 * q) // step), N), dtype)
        self._ld = frame[0].size  # entries from one channel to the next
        return frame

    def _columns(self, frame: np.ndarray, x: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each remainder its columns inside the border of the frame, and in the images."""
        (p, q), height = self.windows.padding, x.shape[1]
        step = frame.shape[2]
        for k in range(step):
            first = (k - q) % step  # of the images' columns, the first that has the remainder
            columns = x[:, :, first::step]
            start = (first + q) // step
            yield frame[:, p : p + height, k, start : start + columns.shape[2]], columns

    def _views(self, z: np.ndarray, frame: np.ndarray) -> Iterator[tuple[int, int, int]]:
        """For each row r and pixel: its number, the address of z_r and that of X_rij."""
        z_0, X_0 = z.ctypes.data, frame.ctypes.data
        _, row, remainder, column, _ = frame.strides
        (kh, kw), (down, across) = self.windows.size, self.windows.stride
        shifts = [
            (i * kw + j, i * row + j % across * remainder + j // across * column)
            for i in range(kh)
            for j in range(kw)
        ]
        for r in range(self.down):
            z_r, X_r = z_0 + r * z.strides[1], X_0 + r * down * row
            for ij, shift in shifts:
                yield ij, z_r, X_r + shift


def _by_pixel(W: np.ndarray) -> np.ndarray:
    """W_ij (C_out, C) for each pixel of the kernel, one after the other."""
    return np.ascontiguousarray(W.transpose(2, 3, 0, 1))
