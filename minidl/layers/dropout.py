"""Dropout: noise while learning, the identity afterwards."""

from __future__ import annotations

import math

import numpy as np

from minidl import checks
from minidl.backend import Array, namespace
from minidl.layers.base import Layer
from minidl.layers.images import buffer_like


class Dropout(Layer):
    """y = x ∘ m while training, each m_i = 0 with probability ``rate`` and else 1 / (1 − rate).

    Backward: dx = dy ∘ m.  The expected value of y is x, so inference is y = x.
    Source: Srivastava et al., JMLR 15 (2014), in the "inverted" form of their
    section 10.  The mask is drawn anew at each training step, on the CPU and in
    float32 whatever the network's type, so that all of them drop the same units.
    """

    mask: Array | None = None  # m of the last training step, shape of x
    u: Array  # uniform random numbers from 0 to 1, shape of x

    def __init__(self, rate: float) -> None:
        self.rate = checks.below_one("Dropout", "rate", rate)

    def workspace_size(self, input_shape: tuple[int, ...], input_gradient: bool = True) -> int:
        return (3 + input_gradient) * math.prod(input_shape)  # u, mask, y, dx

    def initialize(self, rng: np.random.Generator) -> None:
        self.rng = rng.spawn(1)[0]

    def forward(self, x: Array, training: bool = False) -> Array:
        checks.floats(self, "x", x)
        self.x = x
        if not training:
            self.mask = None
            self.y = x
            return x
        if not self.drawn:
            self.u = self.buffer("u", x.shape, x, np.float32)
            self.draw()
        self.drawn = False
        self.mask = buffer_like(self, "mask", x)
        np.greater_equal(self.u, self.rate, out=self.mask)
        self.mask *= 1 / (1 - self.rate)
        self.y = np.multiply(x, self.mask, out=buffer_like(self, "y", x))
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self._expect_dy(dy)
        if not input_gradient:
            return None
        if self.mask is None:
            return dy
        return np.multiply(dy, self.mask, out=buffer_like(self, "dx", dy))

    def draw(self) -> None:
        if self.rng is None:
            raise RuntimeError(
                f"{self!r}: has no generator yet; call build(rng), or make it part of a Network"
            )
        if namespace(self.u) is np:
            self.rng.random(dtype=np.float32, out=self.u)
        else:
            drawn = self.rng.random(self.u.shape, dtype=np.float32)
            self.u[...] = namespace(self.u).asarray(drawn)
        self.drawn = True

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"
