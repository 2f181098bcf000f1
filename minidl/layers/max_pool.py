"""Max pooling: the largest pixel of each window."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from minidl.backend import Array
from minidl.layers.images import flat_buffer
from minidl.layers.pool2d import Pool2D
from minidl.layers.windows import Pair


class MaxPool2D(Pool2D):
    """y = max_k x_k over the pixels x_1 … x_K of a window.

    Backward: dy goes to the pixel that is the largest; to the first of them,
    row by row, where several are (as in PyTorch).

    Parameters
    ----------
    size, stride, padding : a number, or one for rows and one for columns; ``stride``
        is ``size`` unless given, the border counts as −∞
    """

    border = -math.inf

    def __init__(
        self, size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
    ) -> None:
        super().__init__(size, stride, padding)
        if any(2 * p > n for p, n in zip(self.windows.padding, self.windows.size, strict=True)):
            raise ValueError(
                f"{self!r}: expected a padding of at most half the window, so that each "
                "window sees a pixel; use a smaller one"
            )

    def pool(self, xs: Iterable[Array], y: Array) -> None:
        y[...] = -math.inf
        for x in xs:
            np.maximum(y, x, out=y)

    def spread(self, dy: Array, y: Array, xs: Iterable[Array], dxs: Iterable[Array]) -> None:
        largest = flat_buffer(self, "largest", y.shape, y, bool)
        waiting = flat_buffer(self, "waiting", y.shape, y, bool)  # windows still to give their dy
        part = flat_buffer(self, "part", y.shape, y)
        waiting[...] = True
        for x, dx in zip(xs, dxs, strict=True):
            np.equal(x, y, out=largest)
            largest &= waiting
            waiting ^= largest
            dx += np.multiply(dy, largest, out=part)
