"""Adaptive piecewise linear units: a learned activation function."""

from __future__ import annotations

import math

import numpy as np

from minidl.backend import Array, checks, namespace
from minidl.layers._channelwise import Channelwise, blocks, empty_like, rows


class APL(Channelwise):
    """y = max(0, x) + Σ_s a_s max(0, b_s − x), with a sum of S hinges per unit or channel.

    Backward, where [·] is 1 if true and 0 otherwise, and sums go over all axes but the channels::

        da_s = Σ dy ∘ max(0, b_s − x)                    (C,)
        db_s = a_s Σ dy ∘ [x < b_s]                      (C,)
        dx   = dy ∘ ([x > 0] − Σ_s a_s [x < b_s])

    The kinks are at 0 and at each b_s; the slope there is the one from the left
    at 0 and the one from the right at b_s.  Source: Agostinelli et al., Learning
    Activation Functions to Improve Deep Neural Networks, ICLR 2015 workshop,
    equation 1.  Initially, a is drawn from U(−1/√S, 1/√S) and b is 0, so that
    y = x on the right and −(Σ_s a_s) x on the left.

    Parameters
    ----------
    channels : units of the input (N, C), or channels of (N, C, H, W)
    hinges : S, the number of hinges
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
        self.x = x  # (N, C, …)
        self.y, y = empty_like(x)
        x = rows(x)  # (C, m)
        for c in blocks(x):
            y[c] = np.maximum(x[c], 0)
            for a, b in zip(self.a[:, c, None], self.b[:, c, None], strict=True):  # (c, 1) each
                y[c] += a * np.maximum(b - x[c], 0)
        return self.y

    def backward(self, dy: Array, input_gradient: bool = True) -> Array | None:
        dx, dx_rows = empty_like(dy)
        x, dy = rows(self.x), rows(dy)
        for c in blocks(x):
            if input_gradient:
                dx_rows[c] = dy[c] * (x[c] > 0)
            for s, (a, b) in enumerate(zip(self.a[:, c, None], self.b[:, c, None], strict=True)):
                self.da[s, c] = (dy[c] * np.maximum(b - x[c], 0)).sum(axis=1)
                passed = dy[c] * (x[c] < b)
                self.db[s, c] = a[:, 0] * passed.sum(axis=1)
                if input_gradient:
                    dx_rows[c] -= a * passed
        return dx if input_gradient else None

    def __repr__(self) -> str:
        return f"APL({self.channels}, hinges={self.hinges})"
