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
        if not input_shape:
            raise self.misfit("(N, …)", input_shape, "add a batch axis")
        return (math.prod(input_shape),)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.y = x.reshape(len(x), -1)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return dy.reshape(self.x.shape) if input_gradient else None
