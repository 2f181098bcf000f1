"""What the pooling layers share: the walk over the windows."""

from __future__ import annotations

import math
from collections.abc import Iterable

from minidl import checks
from minidl.backend import Array
from minidl.layers.base import Layer
from minidl.layers.images import batch_first, batch_last, expect_images, flat_buffer
from minidl.layers.windows import Pair, Windows


class Pool2D(Layer):
    """One number y for each window with the pixels x_1 … x_K, in each channel and image.

    A subclass writes two methods, for all windows at once: an array x_k
    ``(C, down, across, N)`` holds the k-th pixel of each.
    """

    border = 0.0  # what stands in the padding

    def __init__(
        self, size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
    ) -> None:
        stride = size if stride is None else stride
        self.windows = Windows(type(self).__name__, size, stride, padding)

    def pool(self, xs: Iterable[Array], y: Array) -> None:
        """Write y, from x_1 … x_K."""
        raise NotImplementedError

    def spread(self, dy: Array, y: Array, xs: Iterable[Array], dxs: Iterable[Array]) -> None:
        """Add to each dx_k what dy gives it: with overlapping windows others do so, too."""
        raise NotImplementedError

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        expect_images(self, ("N", *input_shape))
        return (input_shape[0], *self.windows.places(self, *input_shape[1:]))

    def workspace_size(self, input_shape: tuple[int, ...], input_gradient: bool = True) -> int:
        part = math.prod(self.output_shape(input_shape))
        return super().workspace_size(input_shape, input_gradient) + input_gradient * part

    def forward(self, x: Array, training: bool = False) -> Array:
        checks.floats(self, "x", x)
        expect_images(self, x.shape)
        N = len(x)
        C, down, across = self.output_shape(x.shape[1:])
        self.x = x  # (N, C, height, width)
        self.frame = self.windows.frame(self, x, self.border)
        y = flat_buffer(self, "y", (C, down, across, N), x)
        self.pool(self.windows.views(self.frame, down, across), y)
        self.y = batch_first(y)  # (N, C, down, across)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self._expect_dy(dy)
        if not input_gradient:
            return None
        y = batch_last(self.y)  # (C, down, across, N)
        dframe = self.windows.zero_frame(self, self.x)
        xs, dxs = (self.windows.views(f, *y.shape[1:3]) for f in (self.frame, dframe))
        self.spread(batch_last(dy), y, xs, dxs)
        return batch_first(self.windows.inside(dframe))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.windows.describe(self.windows.size)})"
