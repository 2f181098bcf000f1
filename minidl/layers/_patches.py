"""The pixels under a kernel, arranged so that a convolution is matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.backend import Array
from minidl.kernel import kernel
from minidl.layers._windows import Windows, batch_first


@kernel
def patches(x: Array, windows: Windows) -> Patches:
    """What lies under the windows at each position in the images ``x``."""
    return Patches(windows, x)


class Patches:
    """The matrix X with one column per position of the kernel, never formed as a whole.

    The positions in row r of all images are the columns of X_r (kh·C·kw, P), P = across · N.  X_r
    and X_(r+1) have most of their image rows in common.  So what lies under each column of the
    kernel is copied once, a strip for each image row, and X_r is a view of kh strips::

        W X:      z_r   = W X_r
        dz Xᵀ:    dW    = Σ_r dz_r X_rᵀ
        Wᵀ dz:    dX_r += Wᵀ dz_r
    """

    def __init__(self, windows: Windows, x: Array) -> None:
        self.windows, self.x = windows, x  # (N, C, height, width)
        padded = windows.padded(x)  # (C, height, width, N), the border included
        C, height, width, N = padded.shape
        self.down, self.across = windows.positions(height, width)
        shape = (height, C, windows.size[1], self.across, N)
        self.strips = np.empty_like(x, shape=shape, order="C")
        for j, column in enumerate(windows.columns(padded)):
            self.strips[:, :, j] = column.swapaxes(0, 1)

    def row(self, r: int, strips: Array) -> Array:
        """X_r (kh·C·kw, P): what lies under the kernel at row r of its positions, a view."""
        kh, kw = self.windows.size
        first = self.windows.stride[0] * r
        return strips[first : first + kh].reshape(kh * strips.shape[1] * kw, -1)

    def times(self, W: Array) -> Array:
        """W X for W (C_out, C, kh, kw)  (C_out, positions)."""
        z = np.empty_like(W, shape=(len(W), self.down, self.across * len(self.x)), order="C")
        W = as_matrix(W)
        for r in range(self.down):
            np.matmul(W, self.row(r, self.strips), out=z[:, r])
        return z.reshape(len(W), -1)

    def gradient(self, dz: Array) -> Array:
        """dz Xᵀ  (C_out, C, kh, kw)."""
        dz = dz.reshape(len(dz), self.down, -1)
        # X_r dz_rᵀ, transposed at the end: BLAS is faster with the longer side first.
        dW: Any = sum(self.row(r, self.strips) @ dz[:, r].T for r in range(self.down))
        return as_kernels(dW.T, self.windows)

    def fold(self, W: Array, dz: Array) -> Array:
        """Wᵀ dz, each entry added to its pixel  (N, C, height, width)."""
        dstrips = np.zeros_like(self.strips)
        W, dz = as_matrix(W), dz.reshape(len(dz), self.down, -1)
        for r in range(self.down):
            dX_r = self.row(r, dstrips)
            dX_r += W.T @ dz[:, r]
        return self.images_of(dstrips)

    def images_of(self, dstrips: Array) -> Array:
        """The strips, each entry added to its pixel."""
        dpadded = self.windows.padded_zeros(self.x)
        for j, dx in enumerate(self.windows.columns(dpadded)):
            dx += dstrips[:, :, j].swapaxes(0, 1)
        return batch_first(self.windows.unpadded(dpadded))


def as_matrix(W: Array) -> Array:
    """W (C_out, kh·C·kw), its columns in the order of the rows of X_r; a copy."""
    return W.swapaxes(1, 2).reshape(len(W), -1)


def as_kernels(dW: Array, windows: Windows) -> Array:
    """The inverse of :func:`as_matrix`."""
    kh, kw = windows.size
    return dW.reshape(len(dW), kh, -1, kw).swapaxes(1, 2)
