"""Images to vectors."""

from __future__ import annotations

import math

from minidl.backend import Array
from minidl.layers._base import Layer


class Flatten(Layer):
    """y = x with all axes but the first merged into one: (N, C, H, W) → (N, C·H·W).

    Backward restores the shape of the gradient.  Nothing is copied or computed.
    """

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (math.prod(input_shape),)

    def expect_shape(self, shape: tuple[int | str, ...]) -> None:
        if len(shape) < 2:
            raise ValueError(f"{self!r}: expected input (N, …), got {shape}; add a batch axis")

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = x.reshape(len(x), -1)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return dy.reshape(self.x.shape) if input_gradient else None
