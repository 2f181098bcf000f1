"""Adaptive piecewise linear units: a learned activation function."""

from __future__ import annotations

import math

import numpy as np
from numpy import maximum

from minidl.backend import Array, checks, namespace
from minidl.kernel import kernel
from minidl.layers._channelwise import Channelwise, channel_blocks, channel_rows, dot, total


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
    b: Array  # (S, C) where the hinges are
    da: Array
    db: Array

    def __init__(self, channels: int, hinges: int) -> None:
        super().__init__(channels)
        self.hinges = checks.integer("APL", "hinges", hinges)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"a": (self.hinges, self.channels), "b": (self.hinges, self.channels)}

    def initialize(self, rng: np.random.Generator) -> None:
        limit = 1 / math.sqrt(self.hinges)
        self.a[...] = namespace(self.a).asarray(rng.uniform(-limit, limit, self.a.shape))
        self.b[...] = 0

    @kernel
    def forward_rows(self, x: Array, y: Array, training: bool) -> None:
        a, b = self.a[..., None], self.b[..., None]  # (S, C, 1)
        for c in channel_blocks(x):
            y[c] = maximum(x[c], 0)
            for s in range(self.hinges):
                y[c] += a[s, c] * maximum(b[s, c] - x[c], 0)

    @kernel
    def backward_rows(self, dy: Array, dx: Array | None) -> None:
        x, a, b = channel_rows(self.x), self.a[..., None], self.b[..., None]
        for c in channel_blocks(x):
            if dx is not None:
                dx[c] = dy[c] * (x[c] > 0)
            for s in range(self.hinges):
                self.da[s, c] = dot(dy[c], maximum(b[s, c] - x[c], 0))
                dy_left = dy[c] * (x[c] < b[s, c])
                self.db[s, c] = self.a[s, c] * total(dy_left)
                if dx is not None:
                    dx[c] -= a[s, c] * dy_left

    def __repr__(self) -> str:
        return f"APL({self.channels}, hinges={self.hinges})"
