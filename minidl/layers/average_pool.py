"""Average pooling: the mean of each window, or of each whole image."""

from __future__ import annotations

import math
from typing import Any

from minidl.backend import Array, namespace
from minidl.layers._base import Layer
from minidl.layers._pool2d import Pool2D
from minidl.layers._windows import Pair, batch_first, batch_last, expect_images


class AveragePool2D(Pool2D):
    """y = (1/K) Σ_k x_k over the pixels x_1 … x_K of a window.

    Backward: each of the K pixels gets dy / K.

    Parameters
    ----------
    size, stride : one number, or one for rows and one for columns; ``stride`` is
        ``size`` by default
    """

    def __init__(self, size: int | Pair, stride: int | Pair | None = None) -> None:
        super().__init__(size, stride)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, C, height, width)
        K = math.prod(self.windows.size)
        padded = self.windows.padded(x)
        mean: Any = sum(self.windows.window_views(padded)) / K
        self.y = batch_first(mean)  # (N, C, down, across)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        K = math.prod(self.windows.size)
        dpadded = self.windows.padded_zeros(self.x)
        for dx_k in self.windows.window_views(dpadded):
            dx_k += batch_last(dy) / K
        return batch_first(self.windows.unpadded(dpadded))


class GlobalAveragePool2D(Layer):
    """y[n, c] = the mean of all K pixels of that channel: (N, C, height, width) → (N, C).

    Backward: each of the K pixels gets dy / K.  Source: Lin, Chen and Yan, Network in
    Network, ICLR 2014, section 3.2.
    """

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        expect_images(self, input_shape)
        return (input_shape[0],)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, C, height, width)
        self.y = x.mean(axis=(2, 3))  # (N, C)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        dx = namespace(dy).empty_like(self.x)
        dx[...] = dy[:, :, None, None] / math.prod(self.x.shape[2:])
        return dx
