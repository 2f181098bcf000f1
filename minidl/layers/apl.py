"""Adaptive piecewise linear units: an activation function that is learned."""

from __future__ import annotations

import math

import numpy as np

from minidl import checks
from minidl.backend import Array, namespace
from minidl.layers.channelwise import Channelwise
from minidl.layers.images import buffer_like


class APL(Channelwise):
    """y = max(0, x) + Σ_s a_s max(0, b_s − x), a sum of S hinges for each unit or channel.

    Backward, where [·] is 1 if true and else 0, and the sums go over all but the channels::

        da_s = Σ dy ∘ max(0, b_s − x)                    (C,)
        db_s = a_s Σ dy ∘ [x < b_s]                      (C,)
        dx   = dy ∘ ([x > 0] − Σ_s a_s [x < b_s])

    The kinks are at 0 and at each b_s; the slope there is the one from the left
    at 0 and the one from the right at b_s.  Source: Agostinelli et al., Learning
    Activation Functions to Improve Deep Neural Networks, ICLR 2015 workshop,
    equation 1.  At the start a is drawn from U(−1/√S, 1/√S) and b is 0, so that
    y = x on the right and −(Σ_s a_s) x on the left.

    Parameters
    ----------
    channels : units of the input (N, C), or channels of (N, C, H, W)
    hinges : S, how many
    """

    a: Array  # (S, C) slopes
    b: Array  # (S, C) places
    da: Array
    db: Array

    def __init__(self, channels: int, hinges: int) -> None:
        super().__init__(channels)
        self.hinges = checks.whole("APL", "hinges", hinges)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"a": (self.hinges, self.channels), "b": (self.hinges, self.channels)}

    def initialize(self, rng: np.random.Generator) -> None:
        limit = 1 / math.sqrt(self.hinges)
        self.a[...] = namespace(self.a).asarray(rng.uniform(-limit, limit, self.a.shape))
        self.b[...] = 0

    def forward(self, x: Array, training: bool = False) -> Array:
        checks.array(self, "x", x)
        self._expect_shape(x.shape)
        self._expect_like("x", x, self._bound("a"))
        self.x = x  # (N, C, …)
        self.y = y = buffer_like(self, "y", x)
        np.maximum(x, 0, out=y)
        hinge = buffer_like(self, "hinge", x)
        for a, b in zip(self.a, self.b, strict=True):  # (C,) each
            np.subtract(self._spread(b, x), x, out=hinge)
            np.maximum(hinge, 0, out=hinge)
            hinge *= self._spread(a, x)
            y += hinge
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        self._expect_dy(dy)
        hinge, open_ = (buffer_like(self, name, dy) for name in ("hinge", "open"))
        dx = None
        if input_gradient:
            dx = buffer_like(self, "dx", dy)
            np.greater(self.x, 0, out=dx)
            dx *= dy
        for a, b, da, db in zip(self.a, self.b, self.da, self.db, strict=True):
            np.subtract(self._spread(b, dy), self.x, out=hinge)
            np.maximum(hinge, 0, out=hinge)
            np.greater(hinge, 0, out=open_)  # [x < b_s]
            hinge *= dy
            self._sum(hinge, out=da)
            open_ *= dy
            self._sum(open_, out=db)
            db *= a
            if dx is not None:
                open_ *= self._spread(a, dy)
                dx -= open_
        return dx

    def __repr__(self) -> str:
        return f"APL({self.channels}, hinges={self.hinges})"
