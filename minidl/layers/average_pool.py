"""Average pooling: the mean of each window, or of each whole image."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from minidl import checks
from minidl.backend import Array, namespace
from minidl.layers.base import Layer
from minidl.layers.images import batch_first, expect_images, flat_buffer
from minidl.layers.pool2d import Pool2D
from minidl.layers.windows import Pair


class AveragePool2D(Pool2D):
    """y = (1/K) Σ_k x_k over the pixels x_1 … x_K of a window.

    Backward: each of the K pixels gets dy / K.

    Parameters
    ----------
    size, stride : a number, or one for rows and one for columns; ``stride`` is
        ``size`` unless given
    """

    def __init__(self, size: int | Pair, stride: int | Pair | None = None) -> None:
        super().__init__(size, stride)

    def pool(self, xs: Iterable[Array], y: Array) -> None:
        y[...] = 0
        for x in xs:
            y += x
        y /= math.prod(self.windows.size)

    def spread(self, dy: Array, y: Array, xs: Iterable[Array], dxs: Iterable[Array]) -> None:
        part = flat_buffer(self, "part", y.shape, y)
        np.divide(dy, math.prod(self.windows.size), out=part)
        for dx in dxs:
            dx += part


class GlobalAveragePool2D(Layer):
    """y[n, c] = the mean of all K pixels of that channel: (N, C, height, width) → (N, C).

    Backward: each of the K pixels gets dy / K.  Source: Lin, Chen and Yan, Network in
    Network, ICLR 2014, section 3.2.
    """

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        expect_images(self, ("N", *input_shape))
        return (input_shape[0],)

    def forward(self, x: Array, training: bool = False) -> Array:
        checks.floats(self, "x", x)
        expect_images(self, x.shape)
        self.x = x  # (N, C, height, width)
        self.y = namespace(x).mean(x, axis=(2, 3), out=self.buffer("y", x.shape[:2], x))  # (N, C)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self._expect_dy(dy)
        if not input_gradient:
            return None
        N, C, height, width = self.x.shape
        dx = flat_buffer(self, "dx", (C, height, width, N), dy)
        np.divide(dy.T[:, None, None, :], height * width, out=dx)
        return batch_first(dx)
