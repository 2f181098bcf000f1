"""What the pooling layers share: windows over images."""

from __future__ import annotations

from minidl.layers._base import Layer
from minidl.layers._windows import Pair, Windows, expect_images


class Pool2D(Layer):
    """One number y per window with the pixels x_1 … x_K, in each channel and image.

    An array x_k ``(C, down, across, N)`` holds the k-th pixel of all windows.
    """

    def __init__(
        self, size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
    ) -> None:
        stride = size if stride is None else stride
        self.windows = Windows(type(self).__name__, size, stride, padding)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        expect_images(self, input_shape)
        return (input_shape[0], *self.windows.positions_in(self, *input_shape[1:]))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.windows.describe(self.windows.size)})"
