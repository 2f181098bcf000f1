"""Randomized leaky ReLU: random slopes on the left in training."""

from __future__ import annotations

import numpy as np

from minidl.activations import RandomizedLeakyReLU
from minidl.backend import Array
from minidl.layers._random_layer import RandomLayer


class RReLU(RandomLayer):
    """y = x where x > 0, else a ∘ x; in training, each entry has a random slope a_i ~ U(l, u).

    Backward, with the slopes of the forward pass::

        dx = dy where x > 0, else a ∘ dy

    In inference all slopes are their mean, (l + u)/2: the function
    :class:`minidl.activations.RandomizedLeakyReLU`.  The kink is at 0, where the slope is a.
    Like PReLU, it follows a Dense or a Conv2D without an activation function.  The slopes are
    drawn anew at each training step, like the mask of Dropout.

    Source: Xu, Wang, Chen and Li, Empirical Evaluation of Rectified Activations, 2015, section
    2.4; l and u as in PyTorch.

    Parameters
    ----------
    low, high : l and u, from 0 to 1; 1/8 and 1/3 by default
    """

    a: Array | float  # slopes on the left in the last forward, in the shape of x; their mean

    def __init__(self, low: float = 1 / 8, high: float = 1 / 3) -> None:
        self.f = RandomizedLeakyReLU(low, high)  # which checks 0 <= l <= u <= 1
        self.low, self.high = self.f.low, self.f.high

    @property
    def is_random(self) -> bool:
        return self.low < self.high

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        self.a = self._draw_slopes(x) if training and self.is_random else self.f.alpha
        self.y = np.where(x > 0, x, self.a * x)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        return np.where(self.x > 0, dy, self.a * dy) if input_gradient else None

    def _draw_slopes(self, x: Array) -> Array:
        u = self.random_numbers(x.shape, like=x)
        return self.low + (self.high - self.low) * u.astype(x.dtype)

    def __repr__(self) -> str:
        return f"RReLU({self.low:g}, {self.high:g})"
