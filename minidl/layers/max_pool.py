"""Max pooling: the largest pixel of each window."""

from __future__ import annotations

import math

import numpy as np

from minidl.backend import Array, namespace
from minidl.layers._pool2d import Pool2D
from minidl.layers._windows import Pair, batch_first, batch_last


class MaxPool2D(Pool2D):
    """y = max_k x_k over the pixels x_1 … x_K of a window.

    Backward: dy goes to the largest pixel; if several are equal, to the first of them,
    row by row (as in PyTorch).

    ``winner`` says which one, counting from 0.

    Parameters
    ----------
    size, stride, padding : one number, or one for rows and one for columns; ``stride``
        is ``size`` by default, and the padding counts as −∞
    """

    def __init__(
        self, size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
    ) -> None:
        super().__init__(size, stride, padding)
        if math.prod(self.windows.size) > 256:
            raise ValueError(f"{self!r}: expected a window of at most 256 pixels")
        if any(2 * p > n for p, n in zip(self.windows.padding, self.windows.size, strict=True)):
            raise ValueError(
                f"{self!r}: expected a padding of at most half the window, so that each "
                "window sees a pixel; use a smaller one"
            )

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x  # (N, C, height, width)
        padded = self.windows.padded(x, border=-math.inf)
        x_1, *others = self.windows.window_views(padded)  # (C, down, across, N) each
        y, self.winner = x_1, namespace(x).zeros(x_1.shape, np.uint8)
        for k, x_k in enumerate(others, 1):
            larger = x_k > y  # strictly: among equal pixels, the first wins
            self.winner = np.maximum(self.winner, larger * np.uint8(k))
            y = np.maximum(y, x_k)
        self.y = batch_first(y)  # (N, C, down, across)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        if not input_gradient:
            return None
        dpadded = self.windows.padded_zeros(self.x)
        for k, dx_k in enumerate(self.windows.window_views(dpadded)):
            dx_k += batch_last(dy) * (self.winner == k)
        return batch_first(self.windows.unpadded(dpadded))
